"""Comparison with the package insightface, for ``compareface models verify PACK --against-insightface``.

Both pipelines run the files of one pack on the CPU. Each image is compared at several sizes: both detectors get the
same pixels, and both embedders get the landmarks of insightface's detector. Faces much larger than their crop are
skipped, because insightface treats them differently: ``align`` averages their pixels, and ``Scrfd`` may find them in a
second detection.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from warnings import catch_warnings, simplefilter

import numpy as np

from app.domain import Box, Embedding, Face, Image, Landmarks
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
"""Longer sides of the image in pixels: small faces are compared at large sizes, large faces at small ones."""
_MAX_SHRINK = 2.0
"""A face is skipped if its eye distance exceeds that of the crop by this factor."""
_MAX_LANDMARK_DIFFERENCE = 0.01
"""In eye distances."""
_MIN_COSINE = 0.9999


class FaceDifference(NamedTuple):
    """Largest distance between two landmarks, in pixels and in eye distances, and the cosine of the embeddings."""

    pixels: float
    eye_distances: float
    cosine: float


class Agreement(NamedTuple):
    """The largest differences of all compared faces; ``unmatched`` faces were found by one detector only.

    A face counts once for each size of its image.
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
    """Return how far our landmarks and embeddings agree with those of insightface on the faces of ``images``.

    Without ``images`` the group photo of the package is used. Raise :class:`PackError` if the pack is not made of
    files of insightface, a file is missing or changed, or no face can be compared.
    """
    pipelines = _open(store, pack)
    paths = images or [Path(insightface.__file__).parent / "data/images/t1.jpg"]
    differences: list[FaceDifference] = []
    unmatched = 0
    for path in paths:
        for image in _resized(decode(path.read_bytes())):
            matches, more_unmatched = _matched_faces(pipelines, image)
            unmatched += more_unmatched
            differences += [_difference(pipelines, image, *faces) for faces in matches]
    if not differences:
        raise PackError("none of the images shows a face that can be compared")
    pixel_distances, eye_distances, cosines = zip(*differences, strict=True)
    return Agreement(len(differences), unmatched, max(pixel_distances), max(eye_distances), min(cosines))


class _Pipelines(NamedTuple):
    """Our models and those of insightface (``reference``), opened from the same files."""

    pack: Pack
    detector: Scrfd
    embedder: Embedder
    reference_detector: Any
    reference_embedder: Any

    @property
    def template(self) -> Landmarks:
        return np.array(self.pack.embedder.template, dtype=np.float32)

    def reference_faces(self, image: Image) -> list[Face]:
        size = (image.shape[1], image.shape[0])
        rows, landmarks = self.reference_detector.detect(
            image, input_size=size, det_thresh=self.pack.detector.confidence
        )
        return [
            Face(Box(*row[:4].tolist()), points.astype(np.float32), float(row[4]))
            for row, points in zip(rows, landmarks, strict=True)
        ]

    def reference_embedding(self, image: Image, landmarks: Landmarks) -> Embedding:
        with catch_warnings():
            simplefilter("ignore", FutureWarning)  # insightface uses deprecated functions of scikit-image
            embedding = self.reference_embedder.get(image, SimpleNamespace(kps=landmarks))
        return np.asarray(embedding / np.linalg.norm(embedding), dtype=np.float32)


def _open(store: Store, pack: Pack) -> _Pipelines:
    checkable = [name for name in store.names() if store.pack(name).detector.family == _FAMILY]
    if pack.detector.family != _FAMILY:
        raise PackError(
            f"pack {pack.name} is not made of files of insightface; packs that can be checked: {', '.join(checkable)}"
        )
    files = store.resolve(pack)
    detector, embedder = files[pack.detector.file], files[pack.embedder.file]
    spec = pack.embedder.model_copy(update={"mirror": False})  # insightface does not average with the mirror image
    reference_detector, reference_embedder = (
        get_model(str(path), providers=["CPUExecutionProvider"]) for path in (detector, embedder)
    )
    if not (isinstance(reference_detector, SCRFD) and isinstance(reference_embedder, ArcFaceONNX)):
        raise PackError(f"insightface does not recognise the files of pack {pack.name} as SCRFD and ArcFace models")
    return _Pipelines(
        pack,
        Scrfd(OrtSession.open(detector, "cpu", 1), pack.detector),
        Embedder(OrtSession.open(embedder, "cpu", 1), spec),
        reference_detector,
        reference_embedder,
    )


def _resized(image: Image) -> Iterator[Image]:
    """Yield the image at each of the sizes up to its own, padded so that no detector resizes it."""
    for side in sorted({min(side, max(image.shape[:2])) for side in _SIDES}):
        yield resize_and_pad(image, side)[0]


def _matched_faces(pipelines: _Pipelines, image: Image) -> tuple[list[tuple[Face, Face]], int]:
    """Return the faces of both detectors as pairs (ours, insightface's), and the number of unmatched faces."""
    limit = _MAX_SHRINK * _eye_distance(pipelines.template)
    ours = pipelines.detector.detect(image, max(image.shape[:2]))
    reference = pipelines.reference_faces(image)
    matches = [(face, match) for face in ours if (match := match_by_iou(reference, face.box))]
    matched = {id(face) for match in matches for face in match}
    unmatched = [face for face in (*ours, *reference) if id(face) not in matched]
    return (
        [match for match in matches if _eye_distance(match[1].landmarks) <= limit],
        sum(_eye_distance(face.landmarks) <= limit for face in unmatched),
    )


def _difference(pipelines: _Pipelines, image: Image, face: Face, reference: Face) -> FaceDifference:
    pixels = float(np.linalg.norm(face.landmarks - reference.landmarks, axis=1).max())
    crop = align(image, reference.landmarks, pipelines.template, pipelines.pack.embedder.input_size)
    embeddings = pipelines.embedder.embed(crop), pipelines.reference_embedding(image, reference.landmarks)
    return FaceDifference(pixels, pixels / _eye_distance(reference.landmarks), cosine(*embeddings))


def _eye_distance(landmarks: Landmarks) -> float:
    return float(np.linalg.norm(landmarks[1] - landmarks[0]))
