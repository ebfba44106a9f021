"""``compareface compare IMAGE_A IMAGE_B``: compare two images (files or URLs) without a server."""

import argparse
import asyncio
import json
from collections.abc import Iterator, Mapping

from app.api.actions.face_info import face_info
from app.cli.arguments import add_population, image_ref, with_population
from app.domain import CompareOptions, Comparison, DetectOptions, FaceModelVersion, ImageRef, MatchingStrategy
from app.engine import Engine
from app.environment import Settings, load_settings
from app.errors import ApiError, ErrorCode
from app.ops.stage_timer import StageTimer
from app.tools.verdict import Verdicts, verdicts_on

_DETECT_TIMEOUT_S = 60.0

_VISIBLE_REDUCTION = 0.01
"""Reduction of the cosine that moves a score by about a point."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", metavar="IMAGE_A", help="image A: a file or an http(s) URL")
    parser.add_argument("b", metavar="IMAGE_B", help="image B")
    parser.add_argument("--json", action="store_true", help="print one JSON object, with the quality of both images")
    versions = [version.value for version in FaceModelVersion]
    scale = "scale of the score (default: %(default)s)"
    parser.add_argument("--face-model-version", choices=versions, default="3.0", help=scale)
    strategies = [strategy.value for strategy in MatchingStrategy]
    strategy = "0: the face with the highest confidence; 1: the largest face; default: the configured one"
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
    images = {"A": image_ref(args.a), "B": image_ref(args.b)}
    comparison, largest_faces = asyncio.run(_compare(settings, images, options, with_quality=args.json))
    meaning = verdicts_on(comparison, settings.models)
    if args.json:
        print(json.dumps(_record(comparison, meaning, largest_faces)))
    else:
        print("\n".join(_lines(comparison, meaning)))
    return 0


async def _compare(
    settings: Settings, images: Mapping[str, ImageRef], options: CompareOptions, *, with_quality: bool
) -> tuple[Comparison, Mapping[str, object]]:
    """Return the comparison, and with ``with_quality`` the quality of the largest face of each image."""
    async with Engine.open(settings) as engine:
        timer = StageTimer.after(settings.limits.deadline_s)
        comparison = await engine.services.compare(images["A"], images["B"], options, timer)
        if not with_quality:
            return comparison, {}
        return comparison, {name: await _quality(engine, image, options) for name, image in images.items()}


async def _quality(engine: Engine, image: ImageRef, options: CompareOptions) -> object:
    """Return the largest face as ``DetectFace`` describes it, or None if ``DetectFace`` finds no face."""
    detect = DetectOptions(options.face_model_version, min_size=1, quality=True, rotate=options.rotate)
    try:
        detected = await engine.services.detect(image, detect, StageTimer.after(_DETECT_TIMEOUT_S))
    except ApiError as error:
        if error.code is not ErrorCode.NO_FACE_IN_PHOTO:
            raise
        return None
    described = face_info(detected.faces[0], landmarks=False).model_dump(by_alias=True)
    return {name: described[name] for name in ("X", "Y", "Width", "Height", "FaceQualityInfo")}


def _lines(comparison: Comparison, meaning: Verdicts) -> Iterator[str]:
    scale = f"pack {meaning.pack}, FaceModelVersion {comparison.face_model_version}"
    yield f"score {comparison.score:.2f} of 100 ({scale}, cosine {comparison.cosine:.4f})"
    for image, notes in zip("AB", comparison.notes, strict=True):
        yield from (f"image {image}: {note.text}" for note in notes)
    a, b = comparison.degradation
    if a * b > _VISIBLE_REDUCTION:
        yield f"the score is reduced, because both images are degraded ({a:.2f} and {b:.2f}; 0 is good)"
    yield from map(str, meaning.verdicts)
    yield f"rates of the population {comparison.population}, {meaning.status}: {meaning.data}"
    if meaning.unfit:
        yield meaning.unfit


def _record(comparison: Comparison, meaning: Verdicts, largest_faces: Mapping[str, object]) -> dict[str, object]:
    """Return the comparison as JSON; rates are fractions."""
    verdicts = [
        {
            "Name": verdict.name,
            "Threshold": verdict.threshold,
            "IsSamePerson": verdict.is_same_person,
            "FarFraction": verdict.far_fraction,
            "TarFraction": verdict.tar_fraction,
            "IsExtrapolated": verdict.is_extrapolated,
        }
        for verdict in meaning.verdicts
    ]
    return {
        "Score": comparison.score,
        "FaceModelVersion": comparison.face_model_version,
        "Population": comparison.population,
        "Cosine": comparison.cosine,
        "Degradation": comparison.degradation,
        "Notes": comparison.notes,
        "Thresholds": verdicts,
        "Pack": meaning.pack,
        "Unfit": meaning.unfit,
        "Calibration": {"Status": meaning.status, "Data": meaning.data},
        "LargestFaces": largest_faces,
    }
