"""False faces in images without people, and faces lost, by confidence; to choose that of a pack.

``python -m benchmarks.false_faces [--every N] [--json FILE]``: 40 random crops of each photo and texture of
scikit-image without people, resized to 100 to 640 pixels, mirrored every second time. Lost: images of LFW, London and
AMFD, and photos of faces with masks, in which no face is detected.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import skimage.data

from app.domain import Image
from app.environment import load_settings
from app.errors import ApiError
from app.packs.store import Store
from app.runtime.session import OrtSession
from app.service.face_pipeline import FaceDetectionPipeline
from app.vision.detect import DETECTORS
from benchmarks import SHARED
from benchmarks.tables import table, write_json
from tests.support.images import jpeg
from tests.support.pipelines import detect_all

_CONFIDENCES = {"omz": (0.6, 0.7, 0.8), "open": (0.4, 0.5)}
_CROPS, _MIN_SIDE = 40, 64  # crops of each image; pixels of the shorter side of an accepted image
_WITH_PEOPLE = ("astronaut", "camera")
_FACES = {"LFW": "lfw/*/*", "London": "london/*/*.jpg", "AMFD": "amfd/*", "masks": "masks/with_mask/*"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="use every n-th image of LFW only")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    result = {}
    for name, confidences in _CONFIDENCES.items():
        rows = {str(value): measure(open_detection(name, value), args.every) for value in confidences}
        table(name, rows)
        result[name] = rows
    write_json(args.json, result)


def measure(detection: FaceDetectionPipeline, every: int) -> dict[str, object]:
    """Return the images without people that show a face, per 1,000, and the images of each set that show none."""
    false = [_shows_face(detection, jpeg(image, 95)) for image in without_people()]
    row: dict[str, object] = {"false per 1,000": round(1000 * sum(map(bool, false)) / len(false), 1)}
    for title, pattern in _FACES.items():
        files = sorted((SHARED / "data").glob(pattern))[:: every if title == "LFW" else 1]
        shown = [_shows_face(detection, path.read_bytes()) for path in files]
        row[f"{title}: lost"] = f"{shown.count(False)} of {len(files)}"
    return row


def open_detection(name: str, confidence: float) -> FaceDetectionPipeline:
    """Return the detection of the pack ``name`` with another confidence, on one thread."""
    store = Store.from_settings(load_settings().models)
    pack = store.pack(name)
    spec = pack.detector.model_copy(update={"confidence": confidence})
    session = OrtSession.open(store.resolve(pack)[spec.file], "cpu", 1)
    return FaceDetectionPipeline(DETECTORS[spec.family](session, spec), spec)


def without_people() -> Iterator[Image]:
    """Yield random crops of the images of scikit-image that show no person."""
    rng = np.random.default_rng(0)
    for path in sorted(Path(skimage.data.__file__).parent.glob("*.[pj][np]g")):
        image = cv2.imread(str(path))
        if image is None or path.stem in _WITH_PEOPLE:
            continue
        for number in range(_CROPS):
            height, width = (max(32, int(side * rng.uniform(0.25, 1))) for side in image.shape[:2])
            top, left = (
                int(rng.integers(max(1, whole - part + 1)))
                for whole, part in zip(image.shape, (height, width), strict=False)
            )
            crop = image[top : top + height, left : left + width]
            factor = rng.integers(100, 641) / max(crop.shape[:2])
            crop = cv2.resize(crop, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            if min(crop.shape[:2]) >= _MIN_SIDE:
                yield np.ascontiguousarray(crop[:, ::-1] if number % 2 else crop, np.uint8)


def _shows_face(detection: FaceDetectionPipeline, data: bytes) -> bool | None:
    """Return whether a face is detected, None for an image that is too small."""
    try:
        return bool(detect_all(detection, data)[1])
    except ApiError:
        return None


if __name__ == "__main__":
    main()
