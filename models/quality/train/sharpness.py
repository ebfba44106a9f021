"""Sharp faces, blurred by a known amount -> the weights of ``app/vision/quality/sharpness.py``, printed to be pasted.

``python -m models.quality.train.sharpness`` (about two minutes on one core). Half of the people of ``../shared/data``
are learned from. First the studio photos alone; then also the LFW pictures that the first fit finds sharpest, whose
own blur it estimates. Each face is brought to a random size, blurred, compressed; what that costs in detail is told as
the sigma of the Gaussian blur of equal squared error. Gamma, exposure, contrast, side light and noise do not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Image, Landmarks
from app.vision.align import align, similarity
from app.vision.quality import sharpness
from app.vision.quality.crop import EYE_DISTANCE, SIDE, TEMPLATE, quality_crop
from models.quality.train.degrade import jpeg, lit, motion
from models.quality.train.faces import found, is_held_out

_PER_STUDIO, _PER_LFW, _SHARPEST, _LFW_STEP = 200, 16, 150, 2
_RIDGE, _SEED = 10.0, 0
_SMALLEST, _LARGEST = 15.0, 180.0
"""Pixels between the eyes, of the faces in the pictures made."""
_OWN = 0.8
"""Pixels: the least blur that an LFW face has, whose eyes are some 40 pixels apart in the file."""
_COVERED = 0.2
"""Share of the faces that something covers: its own edges and plainness are not the face's."""
_MASK = np.array([[58, 125], [112, 110], [166, 125], [160, 175], [112, 205], [64, 175]], np.float64)
_BAR = np.array([[58, 80], [166, 80], [166, 102], [58, 102]], np.float64)
_SIGMAS = np.arange(0, 10.1, 0.25)


class Sharp(NamedTuple):
    """A sharp face; ``blur`` is its own, in pixels of the quality crop."""

    image: Image
    landmarks: Landmarks
    blur: float


class Sample(NamedTuple):
    """The ``features`` of a degraded face, and its blur in pixels of the quality crop."""

    features: NDArray[np.float64]
    blur: float


class Fit(NamedTuple):
    """As in ``app/vision/quality/sharpness.py``."""

    weights: NDArray[np.float64]
    constant: float

    def blur(self, seen: NDArray[np.float64]) -> float:
        total = float(np.exp(seen @ self.weights + self.constant))
        return float(np.sqrt(max(total**2 - sharpness.FLOOR**2, 0.0)))


def main() -> None:
    cv2.setNumThreads(1)
    rng = np.random.default_rng(_SEED)
    studio = [Sharp(one.image, one.landmarks, 0.0) for one in found("london") if not is_held_out(one.name)]
    samples = list(degrade(studio, _PER_STUDIO, rng))
    first = fit(samples)
    others = []
    for one in found("lfw", _LFW_STEP):
        seen = sharpness.features(quality_crop(one.image, one.landmarks))
        if seen is not None and not is_held_out(one.name):
            others.append(Sharp(one.image, one.landmarks, max(first.blur(seen), _OWN)))
    others.sort(key=lambda face: face.blur)
    samples += degrade(others[:_SHARPEST], _PER_LFW, rng)
    weights, constant = fit(samples)
    print(f"# {len(studio)} studio pictures, {_SHARPEST} of LFW, {len(samples)} samples")
    print(f"_WEIGHTS = np.array({[round(float(weight), 4) for weight in weights]})\n_CONSTANT = {constant:.4f}")


def degrade(faces: Sequence[Sharp], each: int, rng: np.random.Generator) -> Iterator[Sample]:
    """Yield ``each`` degraded versions of every face."""
    for face in faces:
        for _ in range(each):
            shown = _covered(face, rng) if rng.random() < _COVERED else face
            reference = _grey(shown.image, face.landmarks)
            image, quality = _blurred(shown, rng)
            landmarks = (TEMPLATE * image.shape[0] / SIDE).astype(np.float32)
            lost = equal_blur(reference, _grey(jpeg(image, quality), landmarks))
            shot = jpeg(lit(image, rng), quality)
            seen = sharpness.features(quality_crop(shot, landmarks))
            if seen is not None:
                yield Sample(seen, float(np.hypot(face.blur, lost)))


def equal_blur(sharp: NDArray[np.uint8], degraded: NDArray[np.uint8]) -> float:
    """Return the sigma of the Gaussian blur that changes the grey crop ``sharp`` as much as ``degraded`` differs."""
    margin = slice(SIDE // 5, -SIDE // 10)
    plain = sharp.astype(np.float32)

    def error(other: NDArray[np.float32]) -> float:
        return float(np.square(other - plain)[margin, margin].mean())

    curve = [0.0, *(error(np.asarray(cv2.GaussianBlur(plain, (0, 0), sigma), np.float32)) for sigma in _SIGMAS[1:])]
    return float(np.interp(error(degraded.astype(np.float32)), curve, _SIGMAS))


def _grey(image: Image, landmarks: Landmarks) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(quality_crop(image, landmarks).image, cv2.COLOR_BGR2GRAY), np.uint8)


def _covered(face: Sharp, rng: np.random.Generator) -> Sharp:
    """Return it with something plain, as a mask is, over its lower half or over its eyes."""
    corners = _MASK if rng.random() < 0.7 else _BAR
    drawn = corners + rng.uniform(-8, 8, (len(corners), 2))
    placed = np.asarray(cv2.transform(drawn[None], similarity(TEMPLATE, face.landmarks)), np.float64)
    colour: list[float] = rng.uniform(0, 255, 3).tolist()
    image = cv2.fillPoly(face.image.copy(), [placed[0].round().astype(np.int32)], colour)
    return face._replace(image=np.asarray(image, np.uint8))


def _blurred(face: Sharp, rng: np.random.Generator) -> tuple[Image, int]:
    """Return the face at some size, out of focus or shaken, and a JPEG quality (0: not compressed)."""
    largest = min(float(np.hypot(*(face.landmarks[1] - face.landmarks[0]))), _LARGEST)
    sizes = (np.exp(rng.uniform(np.log(_SMALLEST), np.log(largest))), min(EYE_DISTANCE, largest), largest)
    eyes = rng.choice(sizes, p=(0.5, 0.35, 0.15))
    side = round(SIDE * eyes / EYE_DISTANCE)
    image = align(face.image, face.landmarks, (TEMPLATE * side / SIDE).astype(np.float32), side)
    sigma = np.exp(rng.uniform(np.log(0.3), np.log(8))) * side / SIDE
    kind = rng.choice(("none", "focus", "motion"), p=(0.15, 0.55, 0.3))
    if kind == "focus":
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)
    elif kind == "motion":
        image = np.asarray(cv2.filter2D(image, -1, motion(sigma * np.sqrt(12), rng.uniform(0, np.pi))), np.uint8)
    return image, int(np.exp(rng.uniform(np.log(4), np.log(96)))) if rng.random() < 0.6 else 0


def fit(samples: Sequence[Sample]) -> Fit:
    """Return the ridge regression of log(hypot(blur, FLOOR)) on the features."""
    seen = np.array([sample.features for sample in samples])
    target = np.log(np.hypot([sample.blur for sample in samples], sharpness.FLOOR))
    centre, spread = seen.mean(axis=0), seen.std(axis=0)
    scaled = (seen - centre) / spread
    gram = scaled.T @ scaled + _RIDGE * np.eye(seen.shape[1])
    weights = np.linalg.solve(gram, scaled.T @ (target - target.mean())) / spread
    return Fit(weights, float(target.mean() - centre @ weights))


if __name__ == "__main__":
    main()
