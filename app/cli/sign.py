"""``compareface sign A [B]``: print a signed curl command that sends a request to a running service.

The body is a here-document. ``--data-binary`` also sends its last newline, so the signature covers that newline.
"""

from __future__ import annotations

import argparse
import json
import shlex
import time
from collections.abc import Mapping

from app.cli.arguments import add_endpoint, add_secret_id, image_ref
from app.domain import ImageRef
from app.environment import load_settings
from app.tools.signing import host_header, pick_key, signed_headers

_END_OF_BODY = "END_OF_BODY"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print a curl command that compares two images (CompareFace), or detects the faces of one image "
        "(DetectFace), signed with a configured key. The signature expires after a few minutes."
    )
    parser.add_argument("a", metavar="A", help="an image: a file or an http(s) URL")
    parser.add_argument("b", metavar="B", nargs="?", help="a second image, to compare with the first")
    add_endpoint(parser)
    add_secret_id(parser)
    parser.add_argument("--version", default="2020-03-03", help="API version (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    action = "CompareFace" if args.b is not None else "DetectFace"
    secret_id, key = pick_key(load_settings().auth, args.secret_id, action)
    images = {"": image_ref(args.a)} if args.b is None else {"A": image_ref(args.a), "B": image_ref(args.b)}
    parameters = dict(_parameter(suffix, image) for suffix, image in images.items())
    body = json.dumps(parameters, ensure_ascii=False) + "\n"
    headers = {
        **signed_headers(secret_id, key, host_header(args.endpoint), body.encode(), int(time.time())),
        "X-TC-Action": action,
        "X-TC-Version": args.version,
    }
    print(curl_command(args.endpoint, headers, body))
    return 0


def curl_command(endpoint: str, headers: Mapping[str, str], body: str) -> str:
    """Return the command; ``body`` is one line of JSON with its newline."""
    options = [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in headers.items()]
    command = " \\\n  ".join([f"curl -sS {shlex.quote(endpoint)}", *options, f"--data-binary @- <<'{_END_OF_BODY}'"])
    return f"{command}\n{body}{_END_OF_BODY}"


def _parameter(suffix: str, image: ImageRef) -> tuple[str, str]:
    return (f"Url{suffix}", image.url) if image.url else (f"Image{suffix}", image.base64)
