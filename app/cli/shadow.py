"""``compareface shadow REQUESTS --out RESULTS``: replay recorded requests and compare decisions with the cloud."""

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path

from tqdm import tqdm

from app.api.auth.keys import Key
from app.cli.arguments import add_endpoint, add_secret_id, positive_float, positive_int, valid_text
from app.environment import SettingsError, load_settings
from app.tools.shadow.agreement import format_summary, summarise
from app.tools.shadow.records import Results, ShadowError, Thresholds, read_requests
from app.tools.shadow.replay import Replay, Service
from app.tools.signing import host_header, pick_key

_SECRET_ID, _SECRET_KEY = "TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY"
"""The variables that the vendor's SDKs read."""

_VERSIONS = ("2020-03-03", "2018-03-01")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Send recorded requests to this service and compare its decisions with those of the cloud: recorded, or "
        f"requested now (--against, with {_SECRET_ID} and {_SECRET_KEY}). Run it again to continue after an "
        "interruption."
    )
    add = parser.add_argument
    add("requests", metavar="REQUESTS", type=Path, help="JSON lines: request bodies with `id`, `Score`, `Error`")
    results = "JSON lines: scores, codes, decisions; requests that have results there are not sent again"
    add("--out", metavar="RESULTS", type=Path, required=True, help=results)
    add_endpoint(parser)
    add_secret_id(parser)
    add("--against", type=valid_text, metavar="ENDPOINT", help="the remote service: https://iai.tencentcloudapi.com")
    add("--threshold", type=float, default=50.0, help="lowest score that this service accepts (%(default)s)")
    remote = "that of the remote service; default: the same, and required if the API versions differ"
    add("--threshold-remote", type=float, help=remote)
    for side, suffix in (("this service", ""), ("the remote service", "-remote")):
        version = f"API version of {side} (%(default)s)"
        add(f"--version{suffix}", choices=_VERSIONS, default=_VERSIONS[0], help=version)
    add("--concurrency", type=positive_int, default=4, help="concurrent requests (%(default)s)")
    add("--rate", type=positive_float, default=5.0, help="requests per second (%(default)s)")
    add("--json", action="store_true", help="print the summary as one JSON object")


def run(args: argparse.Namespace) -> int:
    local, remote = _local_service(args), _remote_service(args)
    thresholds = _thresholds(args)
    results = Results.resume(args.out, thresholds)
    replay = Replay(local, remote, results, args.rate)
    requests = tqdm(read_requests(args.requests), desc="Replaying", unit="request", leave=False, disable=None)
    asyncio.run(replay.run(requests, args.concurrency))
    summary = summarise(results.pairs(), thresholds, results.resumed)
    print(json.dumps(summary) if args.json else "\n".join(format_summary(summary)))
    if replay.failures:
        reason = f"{replay.failures} requests got no response ({replay.failure})"
        print(f"compareface: {reason}; run the same command again to send them", file=sys.stderr)
    return 1 if replay.failures else 0


def _thresholds(args: argparse.Namespace) -> Thresholds:
    remote = args.threshold_remote
    if remote is None:
        if args.version != args.version_remote:
            raise ShadowError("the API versions differ: name the threshold of the remote service, --threshold-remote")
        remote = args.threshold
    return Thresholds(args.threshold, remote)


def _local_service(args: argparse.Namespace) -> Service:
    host = host_header(args.endpoint)
    return Service(args.endpoint, host, args.version, *pick_key(load_settings().auth, args.secret_id))


def _remote_service(args: argparse.Namespace) -> Service | None:
    if args.against is None:
        return None
    host = host_header(args.against)
    secret_id, secret_key = os.environ.get(_SECRET_ID), os.environ.get(_SECRET_KEY)
    if not (secret_id and secret_key):
        raise SettingsError(f"--against needs the key of the remote service in {_SECRET_ID} and {_SECRET_KEY}")
    return Service(args.against, host, args.version_remote, secret_id, Key(label="remote", secret_key=secret_key))
