"""``compareface compare A B``: compare two pictures (files or URLs) without a server."""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
from pathlib import Path

from app.domain import CompareOptions, Comparison, FaceModelVersion, ImageRef, MatchingStrategy
from app.environment import Settings, load_settings


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("compare", help="compare two pictures (files or URLs)")
    parser.add_argument("a", metavar="A", help="picture A: a file or an http(s) URL")
    parser.add_argument("b", metavar="B", help="picture B")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--face-model-version", choices=[version.value for version in FaceModelVersion], default="3.0")
    parser.add_argument(
        "--face-matching-strategy",
        type=int,
        choices=[strategy.value for strategy in MatchingStrategy],
        help="0 the most confident face, 1 the largest",
    )
    parser.add_argument("--rotate", action="store_true", help="as NeedRotateDetection=1")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    settings = load_settings()
    strategy = args.face_matching_strategy
    options = CompareOptions(
        FaceModelVersion(args.face_model_version),
        None if strategy is None else MatchingStrategy(strategy),
        rotate=args.rotate,
    )
    comparison = asyncio.run(_compare(settings, image_ref(args.a), image_ref(args.b), options))
    version = comparison.face_model_version.value
    if args.json:
        print(json.dumps({"Score": comparison.score, "FaceModelVersion": version, "Cosine": comparison.cosine}))
    else:
        print(f"score {comparison.score:.2f} of 100 (FaceModelVersion {version}, cosine {comparison.cosine:.4f})")
    return 0


def image_ref(name: str) -> ImageRef:
    """Return what ``name``, a URL or a file, refers to; raise ``OSError`` for a file that cannot be read."""
    if name.startswith(("http://", "https://")):
        return ImageRef(url=name)
    return ImageRef(base64=base64.b64encode(Path(name).read_bytes()).decode("ascii"))


async def _compare(settings: Settings, a: ImageRef, b: ImageRef, options: CompareOptions) -> Comparison:
    from app.engine import Engine  # noqa: PLC0415 - heavy; the parser must stay quick
    from app.ops.stage_timer import StageTimer  # noqa: PLC0415

    async with Engine.open(settings) as engine:
        return await engine.services.compare(a, b, options, StageTimer.after(settings.limits.deadline_s))
