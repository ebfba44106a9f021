"""Fit the weights of ``app/vision/quality/artifacts.py`` and print them.

``python -m models.quality.train.artifacts`` takes about two minutes on one core and uses LFW images of people who are
not held out: with harmless changes, with text or lines, and strongly compressed, at random sizes. The constants are set
so that ``_FALSE_ALARMS`` of the harmless samples are reported, and then lowered or raised by ``_MARGINS``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Artifact, Image
from app.packs.store import visibility_path
from app.runtime.session import OrtSession
from app.vision.quality.artifacts import artifact_features
from app.vision.quality.crop import quality_crop
from app.vision.quality.visibility import predict_visibility, visible_face
from models.quality.train.degrade import jpeg, relight
from models.quality.train.faces import LabelledFace, detect_faces, is_held_out
from models.quality.train.layers import Scene
from models.quality.train.overlays import with_lines, with_text
from models.quality.train.samples import cover
from models.quality.train.tones import fit, grey

_STEP, _SEED, _HARMLESS_WEIGHT, _FALSE_ALARMS = 2, 0, 2.0, 0.004
_COVERED = 0.5
"""Share of the harmless samples with spectacles, a beard, a shadow or an object in front of the face."""
_MAX_QUALITY = 10
"""Quality of JPEG up to which an image is strongly compressed."""
_MARGINS = {Artifact.OVERLAY: -1.0, Artifact.COMPRESSION: 3.0}
"""Subtracted from the constants: good photos are far below the limit for overlays, and quality 20 of JPEG is usual."""
_MIN_SCALE, _MAX_SCALE = 0.6, 2.5

Change: TypeAlias = Callable[[Image, float, np.random.Generator], Image]
"""Changes an image; the second parameter is the distance between the eyes in pixels."""


def main() -> None:
    cv2.setNumThreads(1)
    labels, features = (np.array(values) for values in zip(*_samples(np.random.default_rng(_SEED)), strict=True))
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    inputs = np.column_stack([(features - mean) / deviation, np.ones(len(features))])
    is_harmless = labels == Artifact.NONE
    for artifact, margin in _MARGINS.items():
        fitted = fit(inputs, (labels == artifact).astype(float), np.where(is_harmless, _HARMLESS_WEIGHT, 1.0))
        weights = (fitted[:-1] / deviation).round(2)
        sums = features @ weights
        constant = -float(np.quantile(sums[is_harmless], 1 - _FALSE_ALARMS)) - margin
        share = float((sums[labels == artifact] > -constant).mean())
        print(f"# {artifact}: {int((labels == artifact).sum())} of {len(labels)} samples, {share:.1%} reported")
        print([*weights.tolist(), round(constant, 2)])


def _samples(rng: np.random.Generator) -> Iterator[tuple[Artifact, NDArray[np.float64]]]:
    """Yield the artifact and the features of changed faces."""
    network = OrtSession.open(visibility_path(), "cpu", 1)
    for face in detect_faces("lfw", _STEP):
        if is_held_out(face.name):
            continue
        for artifact, changes in _CHANGES.items():
            for change in changes:
                resized = _resized(face, rng)
                changed = change(resized.image, float(np.linalg.norm(np.diff(resized.landmarks[:2], axis=0))), rng)
                crop = quality_crop(changed, resized.landmarks)
                if artifact is Artifact.NONE and rng.random() < _COVERED:
                    crop = crop._replace(image=cover(Scene(crop.image, crop.image, rng))[0])
                features = artifact_features(crop.image, visible_face(crop, predict_visibility(network, crop)))
                if features is not None:
                    yield artifact, features


def _resized(face: LabelledFace, rng: np.random.Generator) -> LabelledFace:
    """Return half of the faces as they are, and the others at another size."""
    if rng.random() < 0.5:
        return face
    scale = float(np.exp(rng.uniform(np.log(_MIN_SCALE), np.log(_MAX_SCALE))))
    interpolation = cv2.INTER_AREA if scale < 1 else int(rng.choice((cv2.INTER_LINEAR, cv2.INTER_CUBIC)))
    image = np.asarray(cv2.resize(face.image, None, fx=scale, fy=scale, interpolation=interpolation), np.uint8)
    return LabelledFace(face.name, image, face.landmarks * np.float32(scale))


def _unchanged(image: Image, eye_distance: float, rng: np.random.Generator) -> Image:
    return image


def _saved(image: Image, eye_distance: float, rng: np.random.Generator) -> Image:
    """Return ``image``, sometimes grey, with usual compression."""
    return jpeg(grey(image) if rng.random() < 0.3 else image, int(rng.integers(20, 96)))


def _relit(image: Image, eye_distance: float, rng: np.random.Generator) -> Image:
    return relight(grey(image) if rng.random() < 0.3 else image, rng)


def _sharpened_or_blurred(image: Image, eye_distance: float, rng: np.random.Generator) -> Image:
    blurred = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 0.1 * eye_distance)).astype(np.float32)
    if rng.random() < 0.5:
        blurred = image + rng.uniform(0.3, 1.5) * (image - blurred)
    return np.asarray(np.clip(blurred, 0, 255), np.uint8)


def _overprinted(draw: Change, image: Image, eye_distance: float, rng: np.random.Generator) -> Image:
    drawn = draw(image, eye_distance, rng)
    return _saved(drawn, eye_distance, rng) if rng.random() < 0.4 else drawn


def _compressed(image: Image, eye_distance: float, rng: np.random.Generator) -> Image:
    return jpeg(image, int(rng.integers(3, _MAX_QUALITY + 1)))


_CHANGES: Mapping[Artifact, Sequence[Change]] = {
    Artifact.NONE: (_unchanged, _saved, _relit, _sharpened_or_blurred),
    Artifact.OVERLAY: tuple(partial(_overprinted, draw) for draw in (with_text, with_lines)) * 2,
    Artifact.COMPRESSION: (_compressed, _compressed),
}


if __name__ == "__main__":
    main()
