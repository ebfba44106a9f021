"""Comparison with the package insightface, for ``compareface models verify PACK --against-insightface``.

Both pipelines run the files of one pack on the CPU. Each image is compared at several sizes: both detectors get the
same pixels, and both embedders get the landmarks of insightface's detector. Faces much larger than their crop are
skipped, because our pipeline differs there: ``align`` averages their pixels, and ``Scrfd`` may detect them at its
second, coarse size.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple
from warnings import catch_warnings, simplefilter

import numpy as np

from app.domain import Box, Face, Image, Landmarks
from app.imaging.decode import decode
from app.packs.manifest import Pack, PackError
from app.packs.store import Store
from app.runtime.session import OrtSession
from app.scoring.similarity import cosine
from app.vision.align import align
from app.vision.detect.base import resize_and_pad
from app.vision.detect.scrfd import Scrfd
from app.vision.embed import Embedder
from app.vision.selection import match_by_iou

try:
    import insightface
    from insightface.model_zoo import SCRFD, ArcFaceONNX, get_model
except ImportError as error:
    raise PackError(f"the check needs the package insightface, which this installation lacks ({error})") from error

_FAMILY = "scrfd"
_SIDES = (160, 320, 640)
"""Longer sides of the compared images in pixels. Large faces are skipped at large sizes, but compared at small ones."""
_MAX_SHRINK = 2.0
"""A face is skipped if its eye distance is more than this multiple of the crop's."""
_MAX_LANDMARK_DIFFERENCE = 0.01
"""In eye distances."""
_MIN_COSINE = 0.9999


class Agreement(NamedTuple):
    """The largest differences of all compared faces; ``unmatched`` faces were found by one detector only.

    A face counts once for each size of its image. ``pixels`` and ``eye_distances``: largest distance of two landmarks.
    """

    faces: int
    unmatched: int
    pixels: float
    eye_distances: float
    cosine: float

    @property
    def is_sufficient(self) -> bool:
        """Whether both pipelines give the same faces, landmarks and embeddings, apart from rounding."""
        is_same_face = self.eye_distances <= _MAX_LANDMARK_DIFFERENCE and self.cosine >= _MIN_COSINE
        return is_same_face and not self.unmatched

    def __str__(self) -> str:
        return (
            f"largest landmark difference {self.pixels:.2g} px ({self.eye_distances:.2g} eye distances), "
            f"smallest cosine {self.cosine:.6f}; {self.faces} faces compared, {self.unmatched} faces without a match"
        )


def compare_with_insightface(store: Store, pack: Pack, images: Sequence[Path] = ()) -> Agreement:
    """Compare our landmarks and embeddings with those of insightface on the faces of ``images``.

    Without ``images`` the group photo of the package is used. Raise :class:`PackError` if the pack is not made of
    files of insightface, a file is missing or changed, or no face can be compared.
    """
    pipelines = _Pipelines(store, pack)
    paths = images or [Path(insightface.__file__).parent / "data/images/t1.jpg"]
    differences, unmatched = [], 0
    for path in paths:
        for image in _resized(decode(path.read_bytes())):
            matches, unmatched_faces = _match_faces(pipelines, image)
            differences += [pipelines.difference(image, *faces) for faces in matches]
            unmatched += unmatched_faces
    if not differences:
        raise PackError("none of the images shows a face that can be compared")
    pixels, eye_distances, cosines = zip(*differences, strict=True)
    return Agreement(len(differences), unmatched, max(pixels), max(eye_distances), min(cosines))


class _Pipelines:
    """Our detector and embedder, and insightface's as the reference, opened from the same files."""

    def __init__(self, store: Store, pack: Pack) -> None:
        if pack.detector.family != _FAMILY:
            names = (name for name in store.names() if store.pack(name).detector.family == _FAMILY)
            raise PackError(
                f"pack {pack.name} is not made of files of insightface; packs that can be checked: {', '.join(names)}"
            )
        files = store.resolve(pack)
        detector, embedder = files[pack.detector.file], files[pack.embedder.file]
        # insightface does not average with the mirror image
        self._spec = pack.embedder.model_copy(update={"mirror": False})
        self._confidence = pack.detector.confidence
        self._detector = Scrfd(OrtSession.open(detector, "cpu", 1), pack.detector)
        self._embedder = Embedder(OrtSession.open(embedder, "cpu", 1), self._spec)
        self._reference_detector, self._reference_embedder = (
            get_model(str(path), providers=["CPUExecutionProvider"]) for path in (detector, embedder)
        )
        if not (isinstance(self._reference_detector, SCRFD) and isinstance(self._reference_embedder, ArcFaceONNX)):
            raise PackError(f"insightface does not recognise the files of pack {pack.name} as SCRFD and ArcFace models")
        self.template: Landmarks = np.array(self._spec.template, dtype=np.float32)

    def detect(self, image: Image) -> tuple[list[Face], list[Face]]:
        """Return the faces of our detector and those of insightface's."""
        height, width = image.shape[:2]
        rows, landmarks = self._reference_detector.detect(
            image, input_size=(width, height), det_thresh=self._confidence
        )
        reference = [
            Face(Box(*row[:4].tolist()), points.astype(np.float32), float(row[4]))
            for row, points in zip(rows, landmarks, strict=True)
        ]
        return self._detector.detect(image, max(height, width)), reference

    def difference(self, image: Image, face: Face, reference: Face) -> tuple[float, float, float]:
        """Return the largest landmark distance in pixels and in eye distances, and the cosine of the embeddings."""
        pixels = float(np.linalg.norm(face.landmarks - reference.landmarks, axis=1).max())
        crop = align(image, reference.landmarks, self.template, self._spec.input_size)
        with catch_warnings():
            simplefilter("ignore", FutureWarning)  # insightface uses deprecated functions of scikit-image
            embedding = self._reference_embedder.get(image, SimpleNamespace(kps=reference.landmarks))
        reference_embedding = np.append(embedding / np.linalg.norm(embedding), 0).astype(np.float32)
        similarity = cosine(self._embedder.embed(crop), reference_embedding)
        return pixels, pixels / _eye_distance(reference.landmarks), similarity


def _resized(image: Image) -> Iterator[Image]:
    """Yield the image at each of ``_SIDES`` without enlarging it, padded so that no detector resizes it."""
    for side in sorted({min(side, max(image.shape[:2])) for side in _SIDES}):
        yield resize_and_pad(image, side)[0]


def _match_faces(pipelines: _Pipelines, image: Image) -> tuple[list[tuple[Face, Face]], int]:
    """Return the faces that both detectors found as pairs (ours, insightface's), and the number of unmatched faces.

    Faces that are much larger than their crop are skipped.
    """
    max_eye_distance = _MAX_SHRINK * _eye_distance(pipelines.template)
    ours, reference = pipelines.detect(image)
    matches = [(face, match) for face in ours if (match := match_by_iou(reference, face.box))]
    matched = {id(face) for match in matches for face in match}
    unmatched = [face for face in (*ours, *reference) if id(face) not in matched]
    return (
        [match for match in matches if _eye_distance(match[1].landmarks) <= max_eye_distance],
        sum(_eye_distance(face.landmarks) <= max_eye_distance for face in unmatched),
    )


def _eye_distance(landmarks: Landmarks) -> float:
    return float(np.linalg.norm(landmarks[1] - landmarks[0]))
