"""Use case: image reference -> its faces, largest first, with attributes and quality on request."""

from __future__ import annotations

from collections.abc import Mapping

from app.domain import (
    Attributes,
    DetectedFace,
    DetectionResult,
    DetectOptions,
    Face,
    FaceModelVersion,
    Image,
    ImageData,
    ImageRef,
)
from app.errors import ApiError, ErrorCode
from app.imaging.fetch import Fetcher
from app.imaging.source import load_image
from app.ops.stage_timer import StageTimer
from app.runtime.worker_pool import WorkerPool
from app.service.errors import api_errors
from app.service.face_pipeline import FaceDetectionPipeline
from app.vision.pose import pose
from app.vision.quality.assessment import QualityAssessor, is_masked
from app.vision.selection import largest_first

_MAX_ATTRIBUTES, _MAX_QUALITIES = 5, 30
"""How many of the largest faces get attributes and quality (limits of the vendor's DetectFace page)."""


class DetectService:
    """Detects the faces of an image; has no state between calls."""

    def __init__(
        self, analyzers: Mapping[FaceModelVersion, FaceAnalyzer], fetcher: Fetcher, workers: WorkerPool
    ) -> None:
        self._analyzers = analyzers
        self._fetcher = fetcher
        self._workers = workers

    async def detect(self, image: ImageRef, options: DetectOptions, timer: StageTimer) -> DetectionResult:
        """Return the faces of ``image``; raise ``ApiError``, which names no image, because there is only one."""
        if image.is_empty:
            raise ApiError(ErrorCode.IMAGE_EMPTY)
        analyzer = self._analyzers[options.face_model_version]
        with api_errors():
            data = await load_image(image, self._fetcher, timer)
            return await self._workers.run(analyzer.analyze, data, options, timer)


class FaceAnalyzer:
    """Encoded image -> detected faces. Blocking; runs on a worker thread."""

    def __init__(self, detection: FaceDetectionPipeline, assessor: QualityAssessor, pitch_offset: float) -> None:
        """``pitch_offset``: pitch in degrees of a level face, as computed from the detector's landmarks."""
        self._detection = detection
        self._assessor = assessor
        self._pitch_offset = pitch_offset

    def analyze(self, data: ImageData, options: DetectOptions, timer: StageTimer) -> DetectionResult:
        """Return at most ``options.max_faces`` faces; raise ``ApiError`` if no face has ``options.min_size`` pixels."""
        with api_errors():
            encoded = self._detection.parse(data, timer)
            image, faces = self._detection.detect_all(encoded, timer, rotate=options.rotate)
            if not faces:
                raise ApiError(ErrorCode.NO_FACE_IN_PHOTO)
            accepted = [face for face in largest_first(faces, image) if min(face.box.to_xywh()[2:]) >= options.min_size]
            if not accepted:
                raise ApiError(ErrorCode.FACE_SIZE_TOO_SMALL)
            with timer.stage("quality"):
                detected = [
                    self._measure(
                        image,
                        face,
                        timer,
                        attributes=options.attributes and rank < _MAX_ATTRIBUTES,
                        quality=options.quality and rank < _MAX_QUALITIES,
                    )
                    for rank, face in enumerate(accepted[: options.max_faces])
                ]
        height, width = image.shape[:2]
        return DetectionResult(width, height, tuple(detected))

    def _measure(self, image: Image, face: Face, timer: StageTimer, *, attributes: bool, quality: bool) -> DetectedFace:
        timer.deadline.check()
        if not (attributes or quality):
            return DetectedFace(face.box, face.landmarks, None, None)
        assessment = self._assessor.assess(image, face.landmarks)
        measured = Attributes(
            pose(face.landmarks, self._pitch_offset), is_masked(assessment.visibility, assessment.crop.inside)
        )
        return DetectedFace(
            face.box,
            face.landmarks,
            measured if attributes else None,
            assessment.quality if quality else None,
        )
