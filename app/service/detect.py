"""Use case: image reference -> its faces, largest first, with attributes and quality on request."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from app.domain import (
    Attributes,
    DetectedFace,
    DetectionResult,
    DetectOptions,
    Face,
    FaceModelVersion,
    Image,
    ImageRef,
    ImageSource,
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
from app.vision.selection import NoFaceError, RotatedFaceError, largest_first

_MAX_ATTRIBUTES, _MAX_QUALITIES = 5, 30
"""How many of the largest faces get attributes and quality (limits of the vendor's DetectFace page)."""


@dataclass(frozen=True, slots=True)
class DetectService:
    """Detects the faces of an image with the analyzer of the requested version."""

    analyzers: Mapping[FaceModelVersion, "FaceAnalyzer"]
    fetcher: Fetcher
    workers: WorkerPool

    async def detect(self, image: ImageRef, options: DetectOptions, timer: StageTimer) -> DetectionResult:
        """Return the faces of ``image``; raise ``ApiError``, which names no image, because there is only one."""
        if image.is_empty:
            raise ApiError(ErrorCode.IMAGE_EMPTY)
        analyzer = self.analyzers[options.face_model_version]
        with api_errors():
            source = await load_image(image, self.fetcher, timer)
            return await self.workers.run(analyzer.analyze, source, options, timer)


@dataclass(frozen=True, slots=True)
class FaceAnalyzer:
    """Encoded image -> detected faces. Blocking; runs on a worker thread. ``pitch_offset``: as in ``pose``."""

    detection: FaceDetectionPipeline
    assessor: QualityAssessor
    pitch_offset: float

    def analyze(self, source: ImageSource, options: DetectOptions, timer: StageTimer) -> DetectionResult:
        """Return at most ``options.max_faces`` faces; raise ``ApiError`` if no face has ``options.min_size`` pixels.

        Raise ``NoFaceError`` if there is no upright face, ``DeadlineExceededError`` if no time is left.
        """
        image, faces = self.detection.detect_all(self.detection.parse(source, timer), timer, rotate=options.rotate)
        if not faces:
            raise NoFaceError
        large = [face for face in largest_first(faces, image) if min(face.box.to_xywh()[2:]) >= options.min_size]
        if not large:
            raise ApiError(ErrorCode.FACE_SIZE_TOO_SMALL)
        upright = (face for face in large if options.rotate or self.detection.is_upright(image, face, timer))
        accepted = list(islice(upright, options.max_faces))
        if not accepted:
            raise RotatedFaceError
        with timer.stage("quality"):
            detected = []
            for rank, face in enumerate(accepted):
                timer.deadline.check()
                attributes = options.attributes and rank < _MAX_ATTRIBUTES
                quality = options.quality and rank < _MAX_QUALITIES
                detected.append(self._measure(image, face, attributes=attributes, quality=quality))
        height, width = image.shape[:2]
        return DetectionResult(width, height, tuple(detected))

    def _measure(self, image: Image, face: Face, *, attributes: bool, quality: bool) -> DetectedFace:
        if not (attributes or quality):
            return DetectedFace(face.box, face.landmarks, None, None)
        assessment = self.assessor.assess(image, face.landmarks)
        measured = None
        if attributes:
            has_mask = is_masked(assessment.visibility, assessment.crop.inside)
            measured = Attributes(pose(face.landmarks, self.pitch_offset), has_mask)
        return DetectedFace(face.box, face.landmarks, measured, assessment.quality if quality else None)
