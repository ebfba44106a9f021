"""``compareface sign IMAGE_A [IMAGE_B]``: print a signed curl command that sends a request to a running service.

The body is a here-document. ``--data-binary`` also sends its last newline, so the signature covers that newline. It is
ASCII, because the signature must not depend on the encoding of the terminal.
"""

import argparse
import json
import shlex
import time

from app.cli.arguments import add_endpoint, add_secret_id, image_ref, valid_text
from app.environment import load_settings
from app.tools.signing import host_header, pick_key, signed_headers

_END_OF_BODY = "END_OF_BODY"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print a curl command that compares two images (CompareFace), or detects the faces of one image "
        "(DetectFace), signed with a configured key. By default the signature expires after five minutes."
    )
    parser.add_argument("a", metavar="IMAGE_A", help="an image: a file or an http(s) URL")
    parser.add_argument("b", metavar="IMAGE_B", nargs="?", help="a second image, to compare with the first")
    add_endpoint(parser)
    add_secret_id(parser)
    parser.add_argument("--version", type=valid_text, default="2020-03-03", help="API version (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    action, names = ("DetectFace", {"": args.a}) if args.b is None else ("CompareFace", {"A": args.a, "B": args.b})
    secret_id, key = pick_key(load_settings().auth, args.secret_id, action)
    images = {suffix: image_ref(name) for suffix, name in names.items()}
    parameters: dict[str, object] = {
        f"{'Url' if image.url else 'Image'}{suffix}": image.url or image.base64 for suffix, image in images.items()
    }
    if args.b is None:
        parameters |= {"NeedFaceAttributes": 1, "NeedQualityDetection": 1}  # otherwise both are zeros in the response
    body = json.dumps(parameters) + "\n"
    signed = signed_headers(secret_id, key, host_header(args.endpoint), body.encode(), int(time.time()))
    headers = {**signed, "X-TC-Action": action, "X-TC-Version": args.version}
    options = [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in headers.items()]
    curl = [f"curl -sS {shlex.quote(args.endpoint)}", *options, "-w '\\n'", f"--data-binary @- <<'{_END_OF_BODY}'"]
    print(" \\\n  ".join(curl) + f"\n{body}{_END_OF_BODY}")
    return 0
