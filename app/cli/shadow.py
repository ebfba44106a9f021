"""``compareface shadow REQUESTS --out RESULTS``: replay recorded requests, compare decisions with the cloud's.

The file has the body of a request on each line, with the cloud's ``Score`` or ``Error`` where that was kept; where it
was not, ``--against`` asks the cloud now, with its own key from the environment.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from app.environment import load_settings

if TYPE_CHECKING:
    from app.tools.shadow.records import Results
    from app.tools.shadow.replay import RateLimit, Service

_Number = TypeVar("_Number", int, float)

_ID, _KEY = "TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY"
"""The names that the vendor's own SDKs read."""

_VERSIONS = ("2020-03-03", "2018-03-01")


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "shadow",
        help="replay recorded requests and compare decisions with the cloud's",
        description="Ask this service recorded requests, and compare its decisions with those of the cloud: recorded "
        f"ones, or asked now (--against, with {_ID} and {_KEY}). Run again, it goes on where it was.",
    )
    parser.add_argument(
        "requests", metavar="REQUESTS", type=Path, help="JSON lines: a body each; `id`, `Score`, `Error`"
    )
    parser.add_argument(
        "--out",
        metavar="RESULTS",
        type=Path,
        required=True,
        help="JSON lines: scores, codes, decisions; what it has of REQUESTS is not asked again",
    )
    parser.add_argument("--endpoint", default="http://127.0.0.1:8000", help="address of this service (%(default)s)")
    parser.add_argument("--secret-id", help="sign with this SecretId's first key; default: the first of all")
    parser.add_argument(
        "--against", metavar="ENDPOINT", help="the other service, such as https://iai.tencentcloudapi.com"
    )
    for side, option in (("this service", ""), ("the other", "-there")):
        parser.add_argument(
            f"--threshold{option}", type=float, default=50.0, help=f"score from which {side} accepts (%(default)s)"
        )
        parser.add_argument(
            f"--version{option}", choices=_VERSIONS, default=_VERSIONS[0], help=f"of {side}'s API (%(default)s)"
        )
    parser.add_argument("--concurrency", type=_callers, default=4, help="requests at once (%(default)s)")
    parser.add_argument("--rate", type=_rate, default=5.0, help="requests begun in a second (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.tools.shadow.agreement import lines, summary  # noqa: PLC0415 - heavy; the parser must stay quick
    from app.tools.shadow.records import Results, Thresholds  # noqa: PLC0415
    from app.tools.shadow.replay import RateLimit  # noqa: PLC0415

    thresholds = Thresholds(args.threshold, args.threshold_there)
    here, there = _here(args), _there(args)
    results = Results.resume(args.out, thresholds)
    trouble = asyncio.run(_replay(args.requests, here, there, RateLimit(args.concurrency, args.rate), results))
    told = summary(results.of_this_run(), thresholds, results.before)
    print(json.dumps(told) if args.json else "\n".join(lines(told)))
    if trouble:
        print(f"compareface: {trouble}; run it again to ask them", file=sys.stderr)
    return 1 if trouble else 0


async def _replay(path: Path, here: Service, there: Service | None, pace: RateLimit, results: Results) -> str:
    """Return how many requests got no answer, and why; nothing where all did."""
    from tqdm import tqdm  # noqa: PLC0415

    from app.tools.shadow.records import read_requests  # noqa: PLC0415
    from app.tools.shadow.replay import Replay  # noqa: PLC0415

    async with Replay.open(here, there, pace) as replay:
        requests = tqdm(read_requests(path), desc="Replaying", unit="request", leave=False, disable=None)
        unanswered = await replay.run(requests, results)
        return f"{unanswered} requests got no answer ({replay.trouble})" if unanswered else ""


def _here(args: argparse.Namespace) -> Service:
    from app.cli.sign import pick_key, sent_host  # noqa: PLC0415
    from app.tools.shadow.replay import Service  # noqa: PLC0415

    sent_host(args.endpoint)
    return Service(args.endpoint, args.version, *pick_key(load_settings().auth, args.secret_id))


def _there(args: argparse.Namespace) -> Service | None:
    from app.api.auth.keys import Key  # noqa: PLC0415
    from app.cli.sign import sent_host  # noqa: PLC0415
    from app.environment import SettingsError  # noqa: PLC0415
    from app.tools.shadow.replay import Service  # noqa: PLC0415

    if args.against is None:
        return None
    sent_host(args.against)
    secret_id, secret_key = os.environ.get(_ID), os.environ.get(_KEY)
    if not (secret_id and secret_key):
        raise SettingsError(f"--against needs the other service's key in {_ID} and {_KEY}")
    return Service(args.against, args.version_there, secret_id, Key(label="there", secret_key=secret_key))


def _callers(text: str) -> int:
    return _above_0(int(text))


def _rate(text: str) -> float:
    return _above_0(float(text))


def _above_0(number: _Number) -> _Number:
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("a number above 0 is wanted")
    return number
