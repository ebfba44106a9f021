"""Fit the weights of ``app/vision/quality/sharpness.py`` to known blur and print them.

``python -m models.quality.train.sharpness`` takes about four minutes on one core and uses half of the people of
``../shared/data``. The first fit uses the studio photos. The second adds the sharpest LFW images, whose own blur the
first fit estimates. Each face is resized, blurred and compressed at random. The blur is Gaussian, out of focus, or a
motion in any direction. Its known amount is the sigma of the Gaussian blur with the same squared error; gamma,
exposure, contrast, side light and noise do not count as blur. At the end the constant is shifted, so that the median
LFW image keeps its points.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Image, Landmarks
from app.vision.align import align, similarity_transform
from app.vision.quality.crop import EYE_DISTANCE, SIDE, TEMPLATE, quality_crop
from app.vision.quality.sharpness import MIN_BLUR, blur_features, estimate_blur
from models.quality.train.degrade import disc_kernel, jpeg, motion_kernel, relight
from models.quality.train.faces import detect_faces, is_held_out

_SAMPLES_PER_STUDIO_FACE, _SAMPLES_PER_LFW_FACE, _LFW_FACES, _LFW_STEP = 180, 20, 150, 2
_RIDGE, _SEED = 50.0, 0
_MIN_EYE_DISTANCE, _MAX_EYE_DISTANCE = 15.0, 180.0
"""Pixels between the eyes of the degraded faces."""
_MIN_LFW_BLUR = 0.8
"""Pixels of blur that an LFW face has at least, because its eyes are only about 40 pixels apart in the file."""
_LFW_MEDIAN_BLUR = 2.07
"""Pixels of blur of the median LFW image, which are 69 points of sharpness."""
_MAX_BLUR = 6.0
"""Pixels of blur that count as more; such faces are very blurry in any case."""
_MAX_MOTION = 45.0
"""Pixels of the quality crop by which a face moves at most."""
_HORIZONTAL, _HORIZONTAL_SPREAD = 0.4, 0.15
"""Share of motions that are about horizontal, the least visible ones, and their standard deviation in radians."""
_COVERED = 0.2
"""Share of faces with an occluder, whose edges and plain areas are not those of the face."""
_MASK = np.array([[58, 125], [112, 110], [166, 125], [160, 175], [112, 205], [64, 175]], np.float64)
_BAR = np.array([[58, 80], [166, 80], [166, 102], [58, 102]], np.float64)
_SIGMAS = np.arange(0, 10.1, 0.25)


class SharpFace(NamedTuple):
    """A sharp face and the blur that it has nevertheless, in pixels of the quality crop."""

    image: Image
    landmarks: Landmarks
    blur: float


class Sample(NamedTuple):
    """The ``features`` of a degraded face, and its blur in pixels of the quality crop."""

    features: NDArray[np.float64]
    blur: float


class Fit(NamedTuple):
    """The weights and the constant of ``app/vision/quality/sharpness.py``."""

    weights: NDArray[np.float64]
    constant: float


def main() -> None:
    cv2.setNumThreads(1)
    rng = np.random.default_rng(_SEED)
    studio = [
        SharpFace(face.image, face.landmarks, 0.0) for face in detect_faces("london") if not is_held_out(face.name)
    ]
    samples = list(degrade(studio, _SAMPLES_PER_STUDIO_FACE, rng))
    first = fit(samples)
    lfw, lfw_features = [], []
    for face in detect_faces("lfw", _LFW_STEP):
        features = blur_features(quality_crop(face.image, face.landmarks))
        if features is not None and not is_held_out(face.name):
            lfw_features.append(features)
            lfw.append(SharpFace(face.image, face.landmarks, max(estimate_blur(features, *first), _MIN_LFW_BLUR)))
    lfw.sort(key=lambda face: face.blur)
    samples += degrade(lfw[:_LFW_FACES], _SAMPLES_PER_LFW_FACE, rng)
    weights, constant = fit(samples)
    total = np.median(np.array(lfw_features) @ weights + constant)
    constant += float(np.log(np.hypot(_LFW_MEDIAN_BLUR, MIN_BLUR)) - total)
    print(f"# {len(studio)} studio images, {_LFW_FACES} of LFW, {len(samples)} samples")
    print(f"_WEIGHTS = np.array({[round(float(weight), 4) for weight in weights]})\n_CONSTANT = {constant:.4f}")


def degrade(faces: Sequence[SharpFace], count: int, rng: np.random.Generator) -> Iterator[Sample]:
    """Yield ``count`` degraded samples of every face."""
    for face in faces:
        for _ in range(count):
            original = _covered(face, rng) if rng.random() < _COVERED else face
            reference = _grey(original.image, face.landmarks)
            image, quality = _blurred(original, rng)
            landmarks = (TEMPLATE * image.shape[0] / SIDE).astype(np.float32)
            added_blur = equal_blur(reference, _grey(jpeg(image, quality), landmarks))
            photo = jpeg(relight(image, rng), quality)
            features = blur_features(quality_crop(photo, landmarks))
            if features is not None:
                yield Sample(features, float(np.hypot(face.blur, added_blur)))


def equal_blur(sharp: NDArray[np.uint8], degraded: NDArray[np.uint8]) -> float:
    """Return the sigma of the Gaussian blur of ``sharp`` with the squared error of ``degraded``; both are grey."""
    margin = slice(SIDE // 5, -SIDE // 10)
    reference = sharp.astype(np.float32)

    def error(other: NDArray[np.float32]) -> float:
        return float(np.square(other - reference)[margin, margin].mean())

    errors = [
        0.0,
        *(error(np.asarray(cv2.GaussianBlur(reference, (0, 0), sigma), np.float32)) for sigma in _SIGMAS[1:]),
    ]
    return float(np.interp(error(degraded.astype(np.float32)), errors, _SIGMAS))


def _grey(image: Image, landmarks: Landmarks) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(quality_crop(image, landmarks).image, cv2.COLOR_BGR2GRAY), np.uint8)


def _covered(face: SharpFace, rng: np.random.Generator) -> SharpFace:
    """Return ``face`` with a plain polygon over its lower half or its eyes."""
    corners = _MASK if rng.random() < 0.7 else _BAR
    polygon = corners + rng.uniform(-8, 8, (len(corners), 2))
    in_image = np.asarray(cv2.transform(polygon[None], similarity_transform(TEMPLATE, face.landmarks)), np.float64)
    colour: list[float] = rng.uniform(0, 255, 3).tolist()
    image = cv2.fillPoly(face.image.copy(), [in_image[0].round().astype(np.int32)], colour)
    return face._replace(image=np.asarray(image, np.uint8))


def _blurred(face: SharpFace, rng: np.random.Generator) -> tuple[Image, int]:
    """Return the face at a random size, out of focus or with motion blur, and a JPEG quality (0: not compressed)."""
    largest = min(float(np.hypot(*(face.landmarks[1] - face.landmarks[0]))), _MAX_EYE_DISTANCE)
    distances = (
        np.exp(rng.uniform(np.log(_MIN_EYE_DISTANCE), np.log(largest))),
        min(EYE_DISTANCE, largest),
        largest,
    )
    eye_distance = rng.choice(distances, p=(0.5, 0.35, 0.15))
    side = round(SIDE * eye_distance / EYE_DISTANCE)
    image = align(face.image, face.landmarks, (TEMPLATE * side / SIDE).astype(np.float32), side)
    sigma = np.exp(rng.uniform(np.log(0.3), np.log(8))) * side / SIDE
    kind = rng.choice(("none", "gaussian", "defocus", "motion"), p=(0.15, 0.3, 0.15, 0.4))
    if kind == "gaussian":
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)
    elif kind == "defocus":
        image = np.asarray(cv2.filter2D(image, -1, disc_kernel(2 * sigma)), np.uint8)
    elif kind == "motion":
        length = np.exp(rng.uniform(np.log(2), np.log(_MAX_MOTION))) * side / SIDE
        angle = rng.uniform(0, np.pi) if rng.random() < 1 - _HORIZONTAL else rng.normal(0, _HORIZONTAL_SPREAD)
        image = np.asarray(cv2.filter2D(image, -1, motion_kernel(length, angle)), np.uint8)
    return image, int(np.exp(rng.uniform(np.log(4), np.log(96)))) if rng.random() < 0.6 else 0


def fit(samples: Sequence[Sample]) -> Fit:
    """Return the ridge regression of log(hypot(blur, MIN_BLUR)) on the features."""
    features = np.array([sample.features for sample in samples])
    target = np.log(np.hypot([min(sample.blur, _MAX_BLUR) for sample in samples], MIN_BLUR))
    centre, spread = features.mean(axis=0), features.std(axis=0)
    scaled = (features - centre) / spread
    gram = scaled.T @ scaled + _RIDGE * np.eye(features.shape[1])
    weights = np.linalg.solve(gram, scaled.T @ (target - target.mean())) / spread
    return Fit(weights, float(target.mean() - centre @ weights))


if __name__ == "__main__":
    main()
