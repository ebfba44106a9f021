"""Encoded image -> decode -> detect target face -> refine landmarks -> quality gate -> align -> embed.

Blocking; runs on a worker thread. Every stage checks the deadline and records its duration.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from app.domain import CompareOptions, EmbeddedFace, Face, Image, ImageSource, MatchingStrategy, TargetNote
from app.errors import ApiError, ErrorCode
from app.imaging.decode import EncodedImage, decode_in_process
from app.imaging.decoder_pool import DecoderPool
from app.imaging.source import decode_base64
from app.ops.deadline import Deadline
from app.ops.stage_timer import StageTimer
from app.packs.manifest import DetectorSpec, Pack
from app.service.quality_gate import QualityGate
from app.vision import search
from app.vision.align import align
from app.vision.detect.base import Detector
from app.vision.embed import Embedder
from app.vision.fallback import MAX_TILED_SIDE, detect_small
from app.vision.rotation import FACE_PER_EYE_DISTANCE
from app.vision.selection import match_by_iou, target_notes

_MAX_ENLARGEMENT = 1.25
"""If alignment would enlarge the face by more than this factor, a higher resolution is decoded, if there is one."""


@dataclass(frozen=True, slots=True, eq=False)
class TargetFace:
    """An image in its EXIF orientation, its sides divided by ``reduction``, and the target face in its pixels.

    ``notes``: about its choice. ``is_from_full_resolution``: full detection at full resolution found the face.
    """

    image: Image
    face: Face
    reduction: int
    notes: tuple[TargetNote, ...] = ()
    is_from_full_resolution: bool = False


class FaceDetectionPipeline:
    """Decodes images and detects their faces."""

    def __init__(self, detector: Detector, spec: DetectorSpec, decoders: DecoderPool | None = None) -> None:
        """Without ``decoders``, images are decoded in this process."""
        self._decoders = decoders
        self._detector = detector
        self._spec = spec

    def parse(self, source: ImageSource, timer: StageTimer) -> EncodedImage:
        """Check the format and size of an encoded image; raise ``ApiError`` if they are not accepted."""
        with timer.stage("decode"):
            content = decode_base64(source) if isinstance(source, str) else source
            decoder = partial(self._decoders.decode, timer.deadline) if self._decoders else decode_in_process
            return EncodedImage(content, decoder)

    def detect_all(self, encoded: EncodedImage, timer: StageTimer, *, rotate: bool) -> tuple[Image, list[Face]]:
        """Return the image in its EXIF orientation at full resolution, and all its faces, possibly none.

        ``rotate``: detect rotated faces, too; the image is not rotated.
        """
        image = _decode(encoded, 1, timer)
        return image, self._detect_full(image, timer, rotate=rotate) or self._detect_small(image, timer)

    def select(
        self, image: Image, faces: Sequence[Face], strategy: MatchingStrategy, timer: StageTimer
    ) -> tuple[Face, tuple[TargetNote, ...]]:
        """Return the target face of ``faces`` and notes about the choice; raise ``NoFaceError`` if there is none."""
        with timer.stage("detect"):
            detector = _DeadlineDetector(self._detector, timer.deadline)
            target = search.select(detector, image, faces, strategy, self._spec)
        is_largest = strategy is MatchingStrategy.LARGEST
        return target, target_notes(target, faces, image, self._spec.selection_confidence) if is_largest else ()

    def detect_target(
        self, encoded: EncodedImage, strategy: MatchingStrategy, face_size: float, timer: StageTimer, *, rotate: bool
    ) -> TargetFace:
        """Return the target face; raise ``NoFaceError`` if there is none.

        Decode only the resolution needed to select the face, and to crop it at ``face_size`` pixels (square root of
        the area of its bounding box). Coarse detection can only select by size, so it needs ``LARGEST``.
        """
        uses_coarse = strategy is MatchingStrategy.LARGEST
        reduction = encoded.reduction(min_longer_side=search.COARSE_MIN_SIDE if uses_coarse else self._spec.max_side)
        image = _decode(encoded, reduction, timer)
        coarse_face = self._detect_coarse(image, timer, rotate=rotate) if uses_coarse else None
        if coarse_face is None:
            target = self._detect_target_fully(encoded, image, reduction, strategy, timer, rotate=rotate)
        else:
            target = TargetFace(image, coarse_face, reduction)
        finer = _reduction_for(target.reduction, target.face.box.area**0.5 / face_size)
        if finer == target.reduction:
            return target
        face = target.face.scaled(target.reduction // finer)
        return TargetFace(_decode(encoded, finer, timer), face, finer, target.notes)

    def _detect_target_fully(
        self,
        encoded: EncodedImage,
        image: Image,
        reduction: int,
        strategy: MatchingStrategy,
        timer: StageTimer,
        *,
        rotate: bool,
    ) -> TargetFace:
        """Return the target face by full detection, and by that of small faces; ``image`` has ``reduction``."""
        image, reduction = _decode_for(encoded, image, reduction, self._spec.max_side, timer)
        faces = self._detect_full(image, timer, rotate=rotate)
        if not faces:
            image, reduction = _decode_for(encoded, image, reduction, MAX_TILED_SIDE, timer)
            faces = self._detect_small(image, timer)
        face, notes = self.select(image, faces, strategy, timer)
        return TargetFace(image, face, reduction, notes, is_from_full_resolution=reduction == 1)

    def detect_full_resolution(
        self, encoded: EncodedImage, target: TargetFace, timer: StageTimer, *, rotate: bool
    ) -> TargetFace:
        """Return the target face as detected at full resolution.

        If no face is detected there, or no detected face matches it, return it scaled to full resolution.
        """
        if target.is_from_full_resolution:
            return target
        image = target.image if target.reduction == 1 else _decode(encoded, 1, timer)
        faces = self._detect_full(image, timer, rotate=rotate)
        face = target.face.scaled(image.shape[0] / target.image.shape[0])
        return TargetFace(image, match_by_iou(faces, face.box) or face, 1)

    def refine_landmarks(self, target: TargetFace, timer: StageTimer, *, rotate: bool) -> Face:
        """Return the target face with the landmarks of a second detection on its crop.

        Without ``rotate``, raise ``RotatedFaceError`` if the face does not stand upright.
        """
        with timer.stage("landmarks"):
            detector = _DeadlineDetector(self._detector, timer.deadline)
            if rotate:
                return search.refine_landmarks(detector, target.image, target.face, self._spec.landmark_crop)
            return search.refine_upright_landmarks(detector, target.image, target.face, self._spec)

    def is_upright(self, image: Image, face: Face, timer: StageTimer) -> bool:
        """Return whether a face of ``detect_all`` without ``rotate`` stands upright."""
        with timer.stage("landmarks"):
            detector = _DeadlineDetector(self._detector, timer.deadline)
            return search.is_upright(detector, image, face, self._spec)

    def _detect_coarse(self, image: Image, timer: StageTimer, *, rotate: bool) -> Face | None:
        with timer.stage("detect"):
            detector = _DeadlineDetector(self._detector, timer.deadline)
            return search.detect_coarse(detector, image, self._spec, rotate=rotate)

    def _detect_full(self, image: Image, timer: StageTimer, *, rotate: bool) -> list[Face]:
        with timer.stage("detect"):
            detector = _DeadlineDetector(self._detector, timer.deadline)
            return search.detect_full(detector, image, self._spec, rotate=rotate)

    def _detect_small(self, image: Image, timer: StageTimer) -> list[Face]:
        with timer.stage("detect"):
            return detect_small(_DeadlineDetector(self._detector, timer.deadline), image, self._spec)


class EmbeddingPipeline:
    """Encoded image -> embedding of its target face. Blocking; runs on a worker thread."""

    def __init__(
        self,
        detection: FaceDetectionPipeline,
        quality_gate: QualityGate,
        embedder: Embedder,
        pack: Pack,
        matching_strategy: MatchingStrategy,
    ) -> None:
        """``matching_strategy`` is used if the request does not select one."""
        self._detection = detection
        self._quality_gate = quality_gate
        self._embedder = embedder
        self._template = np.array(pack.embedder.template, dtype=np.float32)
        self._side, self._min_face_side = pack.embedder.input_size, pack.embedder.min_face_side
        eye_distance = float(np.linalg.norm(self._template[1] - self._template[0]))
        self._face_size = FACE_PER_EYE_DISTANCE * eye_distance / _MAX_ENLARGEMENT
        self._matching_strategy = matching_strategy

    def embed(self, source: ImageSource, options: CompareOptions, timer: StageTimer) -> EmbeddedFace:
        """Return the embedding of the target face; raise ``ApiError``, ``NoFaceError``, ``DeadlineExceededError``."""
        encoded = self._detection.parse(source, timer)
        strategy = self._matching_strategy if options.matching_strategy is None else options.matching_strategy
        target = self._detection.detect_target(encoded, strategy, self._face_size, timer, rotate=options.rotate)
        self._check_size(target)
        landmarks = self._detection.refine_landmarks(target, timer, rotate=options.rotate).landmarks
        if options.quality_control:  # at full resolution, like ``DetectFace``, without changing the score
            full = self._detection.detect_full_resolution(encoded, target, timer, rotate=options.rotate)
            with timer.stage("quality"):
                self._quality_gate.check(full.image, full.face, options.quality_control)
        with timer.stage("align"):
            crop = align(target.image, landmarks, self._template, self._side)
        with timer.stage("embed"):
            return EmbeddedFace(self._embedder.embed(crop), target.notes)

    def _check_size(self, target: TargetFace) -> None:
        """Raise ``ApiError`` if the face is too small for the embedder."""
        side = target.face.box.shorter_side * target.reduction
        if side < self._min_face_side:
            reason = f"the face has {math.floor(side)} pixels of the original image, less than {self._min_face_side}"
            raise ApiError(ErrorCode.FACE_SIZE_TOO_SMALL, reason=reason)


@dataclass(frozen=True, slots=True)
class _DeadlineDetector:
    """A detector that checks the deadline before each detection."""

    detector: Detector
    deadline: Deadline

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        self.deadline.check()
        return self.detector.detect(image, side)


def _decode(encoded: EncodedImage, reduction: int, timer: StageTimer) -> Image:
    with timer.stage("decode"):
        return encoded.pixels(reduction)


def _decode_for(
    encoded: EncodedImage, image: Image, reduction: int, min_longer_side: int, timer: StageTimer
) -> tuple[Image, int]:
    """Return the image with the largest reduction that leaves ``min_longer_side`` pixels, and this reduction.

    ``image`` has ``reduction``, and is returned if no other reduction is needed.
    """
    needed = encoded.reduction(min_longer_side=min_longer_side)
    return (image, reduction) if needed == reduction else (_decode(encoded, needed, timer), needed)


def _reduction_for(reduction: int, size_ratio: float) -> int:
    """Return the largest power of two, at most ``reduction``, at which the face keeps the required size; else 1.

    ``size_ratio``: the size of the face at ``reduction`` divided by the required size.
    """
    while reduction > 1 and size_ratio < 1:
        reduction, size_ratio = reduction // 2, size_ratio * 2
    return reduction
