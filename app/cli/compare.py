"""``compareface compare A B``: compare two images (files or URLs) without a server."""

import argparse
import asyncio
import json

from app.cli.arguments import add_population, image_ref, with_population
from app.domain import CompareOptions, Comparison, FaceModelVersion, ImageRef, MatchingStrategy
from app.engine import Engine
from app.environment import Settings, load_settings
from app.ops.stage_timer import StageTimer


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", metavar="A", help="image A: a file or an http(s) URL")
    parser.add_argument("b", metavar="B", help="image B")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--face-model-version", choices=[version.value for version in FaceModelVersion], default="3.0")
    strategies = [strategy.value for strategy in MatchingStrategy]
    strategy = "0: the face with the highest confidence; 1: the largest face"
    parser.add_argument("--face-matching-strategy", type=int, choices=strategies, help=strategy)
    add_population(parser)
    parser.add_argument("--rotate", action="store_true", help="also detect rotated faces (NeedRotateDetection 1)")


def run(args: argparse.Namespace) -> int:
    strategy = args.face_matching_strategy
    options = CompareOptions(
        FaceModelVersion(args.face_model_version),
        None if strategy is None else MatchingStrategy(strategy),
        rotate=args.rotate,
    )
    settings = with_population(load_settings(), args.population)
    comparison = asyncio.run(_compare(settings, image_ref(args.a), image_ref(args.b), options))
    version, population, cosine = comparison.face_model_version, comparison.population, comparison.cosine
    if args.json:
        fields: dict[str, object] = {"FaceModelVersion": version, "Population": population, "Cosine": cosine}
        fields |= {"Degradation": comparison.degradation, "Notes": comparison.notes}
        print(json.dumps({"Score": comparison.score, **fields}))
    else:
        scale = f"FaceModelVersion {version}, population {population}"
        print(f"score {comparison.score:.2f} of 100 ({scale}, cosine {cosine:.4f})")
        for image, notes in zip("AB", comparison.notes, strict=True):
            for note in notes:
                print(f"image {image}: {note.text}")
        if min(comparison.degradation) > 0:
            a, b = comparison.degradation
            print(f"the score is reduced, because both images are degraded ({a:.2f} and {b:.2f}; 0 is good)")
    return 0


async def _compare(settings: Settings, a: ImageRef, b: ImageRef, options: CompareOptions) -> Comparison:
    async with Engine.open(settings) as engine:
        return await engine.services.compare(a, b, options, StageTimer.after(settings.limits.deadline_s))
