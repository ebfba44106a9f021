"""Upright, leaning and rotated images without ``NeedRotateDetection``, for ``benchmarks.rotation``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from app.domain import Image
from benchmarks import SHARED
from benchmarks.pipelines import Pipeline, read
from tests.support.rotation import rotate

_LEANS, _TURNS = (-40, -30, -20, -10, 10, 20, 30, 40), (90, 150, 180, 225, 270)
_LEANING_STEP, _MAX_SIDE = 10, 500
_PEOPLE, _PAIRS, _SEED = 400, 2000, 11
_SCORES = (50, 60)


def refusals(pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    """Return how many target faces are detected, and how many of them are refused as rotated."""
    data = SHARED / "data"
    sets = {
        "LFW": sorted((data / "lfw").glob("*/*.jpg")),
        "AMFD": sorted((data / "amfd").glob("*.jpg")),
        "London": sorted((data / "london").glob("*/*.jpg")),
        "with mask": sorted((data / "masks/with_mask").iterdir()),
        "dark (Yale B)": sorted((data / "dark").iterdir()),
    }
    rows = {f"{name}, upright": _refusals(pipeline, paths, 0) for name, paths in sets.items()}
    for degrees in _LEANS:
        for name, step in (("LFW", _LEANING_STEP), ("AMFD", 1)):
            rows[f"{name}, by {degrees}"] = _refusals(pipeline, sets[name][::step], degrees)
    return rows


def _refusals(pipeline: Pipeline, paths: Sequence[Path], degrees: float) -> dict[str, Any]:
    detected, refused = 0, []
    for path in paths:
        image = rotate(_read_reduced(path), None, degrees)[0]
        is_detected = pipeline.face(image, rotate=False, is_upright_required=False) is not None
        detected += is_detected
        if is_detected and pipeline.face(image, rotate=False) is None:
            refused.append(path.name)
    return {"images": len(paths), "detected": detected, "refused": len(refused), "failures": refused}


def impostors(pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    """Return the percentage of impostor pairs of LFW, rotated alike, that reach a score; without and with the check.

    Pairs without a face in one image count as pairs that do not reach it.
    """
    folders = sorted(folder for folder in (SHARED / "data/lfw").iterdir() if folder.is_dir())
    rng = np.random.default_rng(_SEED)
    people = [min(folders[row].glob("*.jpg")) for row in rng.permutation(len(folders))[:_PEOPLE]]
    pairs = [rng.choice(_PEOPLE, 2, replace=False) for _ in range(_PAIRS)]
    rows = {}
    for degrees in _TURNS:
        images = [rotate(read(path), None, degrees)[0] for path in people]
        for title, is_required in (("unchecked", False), ("checked", True)):
            faces = [pipeline.face(image, rotate=False, is_upright_required=is_required) for image in images]
            embeddings = [
                pipeline.embed(image, face) if face else None for image, face in zip(images, faces, strict=True)
            ]
            scores = np.array([pipeline.embedding_score(embeddings[a], embeddings[b]) for a, b in pairs])
            row: dict[str, Any] = {"faces": sum(face is not None for face in faces), "scored": int((scores >= 0).sum())}
            for score in _SCORES:
                row[f"reach_{score}_percent"] = round(100 * float((scores >= score).mean()), 3)
            rows[f"by {degrees}, {title}"] = row
    return rows


def _read_reduced(path: Path) -> Image:
    """Return the image, reduced to a longer side of at most 500 pixels."""
    image = read(path)
    scale = _MAX_SIDE / max(image.shape[:2])
    if scale >= 1:
        return image
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
