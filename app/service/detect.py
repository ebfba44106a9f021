"""The use case: one image reference in, its faces out."""

from __future__ import annotations

from collections.abc import Mapping

from app.domain import FaceModelVersion, ImageRef, Sight, Wanted
from app.errors import ApiError, ErrorCode
from app.imaging.fetch import Fetcher
from app.imaging.source import Source, at_hand
from app.ops.deadline import Deadline
from app.runtime.threads import Workers
from app.service.examine import Examiner


class DetectService:
    """Tells what faces a picture has; keeps nothing between calls."""

    def __init__(self, examiners: Mapping[FaceModelVersion, Examiner], fetcher: Fetcher, workers: Workers) -> None:
        self._examiners = examiners
        self._fetcher = fetcher
        self._workers = workers

    async def detect(self, image: ImageRef, wanted: Wanted, deadline: Deadline) -> Sight:
        """Return the faces of ``image``; with one picture only, errors name none."""
        if image.is_empty:
            raise ApiError(ErrorCode.IMAGE_EMPTY)
        source = await at_hand(image, self._fetcher, deadline)
        return await self._workers.run(self._examine, source, wanted, deadline)

    def _examine(self, source: Source, wanted: Wanted, deadline: Deadline) -> Sight:
        return self._examiners[wanted.face_model_version].examine(source(), wanted, deadline)
