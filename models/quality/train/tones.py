"""Fit the weights of ``app/vision/quality/tones.py`` to photos and their negatives and print them.

``python -m models.quality.train.tones`` takes about three minutes on one core and uses LFW images of people who are not
held out: as they are, grey, with other light and contrast, and as negatives. A negative is computed from the crop, and
the face is detected in the negative of the image, too, because its landmarks differ.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Image, MatchingStrategy
from app.environment import load_settings
from app.packs.store import Store
from app.runtime.session import OrtSession
from app.vision.detect import DETECTORS
from app.vision.quality.crop import QualityCrop, quality_crop
from app.vision.quality.tones import tone_features
from app.vision.quality.visibility import predict_visibility
from app.vision.selection import select_target
from models.quality.train.degrade import jpeg, relight
from models.quality.train.faces import DATA, is_held_out

_STEP, _RIDGE, _UPDATES, _SEED = 2, 1.0, 15, 0
_CROP_NEGATIVE, _DETECTED_NEGATIVE = 0.3, 3.0
"""Weights of the samples relative to photos."""
_VISIBILITY = Path(__file__).resolve().parents[1] / "visibility.onnx"
_GREY = np.array([0.114, 0.587, 0.299])


def main() -> None:
    cv2.setNumThreads(1)
    samples = list(_samples(np.random.default_rng(_SEED)))
    features, is_photo, weights = (np.array(values) for values in zip(*samples, strict=True))
    fitted = fit(features, is_photo, weights)
    print(f"# {int(is_photo.sum())} photos, {int((1 - is_photo).sum())} negatives")
    print(f"_WEIGHTS = np.array({[round(float(weight), 2) for weight in fitted]})")


def _samples(rng: np.random.Generator) -> Iterator[tuple[NDArray[np.float64], float, float]]:
    """Yield the features of a crop, 1 for a photo and 0 for a negative, and the weight of the sample."""
    network = OrtSession.open(_VISIBILITY, "cpu", 1)

    def features(crop: QualityCrop) -> NDArray[np.float64]:
        return tone_features(crop, predict_visibility(network, crop))

    for image, crop, detect in _training_faces():
        for photo in (crop.image, grey(crop.image), relight(crop.image, rng), relight(grey(crop.image), rng)):
            yield features(crop._replace(image=photo)), 1.0, 1.0
            yield features(crop._replace(image=np.asarray(255 - photo, np.uint8))), 0.0, _CROP_NEGATIVE
        for photo in (image, grey(image)):
            negative = detect(jpeg(np.asarray(255 - photo, np.uint8), int(rng.choice((0, 60)))))
            if negative is not None:
                yield features(negative), 0.0, _DETECTED_NEGATIVE


def _training_faces() -> Iterator[tuple[Image, QualityCrop, Callable[[Image], QualityCrop | None]]]:
    """Yield an image, the quality crop of its face, and the function that returns the crop of another image."""
    store = Store.from_settings(load_settings().models)
    pack = store.pack("open")
    session = OrtSession.open(store.resolve(pack)[pack.detector.file], "cpu", 1)
    detector = DETECTORS[pack.detector.family](session, pack.detector)

    def detect(image: Image) -> QualityCrop | None:
        faces = detector.detect(image)
        if not faces:
            return None
        face = select_target(faces, image, MatchingStrategy.LARGEST, pack.detector.selection_confidence)
        return quality_crop(image, face.landmarks)

    for path in sorted((DATA / "lfw").glob("*/*.jpg"))[::_STEP]:
        image = np.asarray(cv2.imread(str(path)), np.uint8)
        crop = None if is_held_out(f"{path.parent.name}/{path.name}") else detect(image)
        if crop is not None:
            yield image, crop, detect


def fit(
    features: NDArray[np.float64], targets: NDArray[np.float64], sample_weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the weights of the logistic regression without a constant, by Newton's method."""
    weights = np.zeros(features.shape[1])
    for _ in range(_UPDATES):
        probabilities = 1 / (1 + np.exp(-np.clip(features @ weights, -30, 30)))
        gradient = features.T @ (sample_weights * (targets - probabilities)) - _RIDGE * weights
        curvature = sample_weights * probabilities * (1 - probabilities)
        hessian = (features * curvature[:, None]).T @ features + _RIDGE * np.eye(len(weights))
        weights += np.linalg.solve(hessian, gradient)
    return weights


def grey(image: Image) -> Image:
    return np.asarray(np.repeat((image @ _GREY).round()[..., None], 3, axis=2), np.uint8)


if __name__ == "__main__":
    main()
