"""Use case: two image references -> comparison of their target faces."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import NamedTuple, TypeVar

from app.domain import CompareOptions, Comparison, Embedding, FaceModelVersion, ImageRef
from app.errors import ApiError, ErrorCode
from app.imaging.fetch import Fetcher
from app.imaging.source import load_image
from app.ops.stage_timer import StageTimer
from app.runtime.worker_pool import WorkerPool
from app.scoring.scale import Scale
from app.scoring.similarity import cosine
from app.service.errors import api_errors
from app.service.face_pipeline import EmbeddingPipeline

_T = TypeVar("_T")


class ScoredPipeline(NamedTuple):
    """The pipeline of one model version, and the scale that converts its cosines to scores."""

    pipeline: EmbeddingPipeline
    scale: Scale


class CompareService:
    """Compares the target faces of two images; has no state between calls."""

    def __init__(
        self, models: Mapping[FaceModelVersion, ScoredPipeline], fetcher: Fetcher, workers: WorkerPool
    ) -> None:
        self._models = models
        self._fetcher = fetcher
        self._workers = workers

    async def compare(self, a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
        """Compare the target faces of ``a`` and ``b``.

        Raise ``ApiError`` with the name of the image. If both images fail, raise the error of A.
        """
        for name, ref in (("A", a), ("B", b)):
            if ref.is_empty:
                raise ApiError(ErrorCode.IMAGE_EMPTY, image=name)
        embeddings = await _gather_in_order(self._embed("A", a, options, timer), self._embed("B", b, options, timer))
        similarity = cosine(*embeddings)
        version = options.face_model_version
        return Comparison(self._models[version].scale.score(similarity), similarity, version)

    async def _embed(self, name: str, ref: ImageRef, options: CompareOptions, timer: StageTimer) -> Embedding:
        pipeline = self._models[options.face_model_version].pipeline
        with api_errors(image=name):
            data = await load_image(ref, self._fetcher, timer)
            return await self._workers.run(pipeline.embed, data, options, timer)


async def _gather_in_order(first: Coroutine[None, None, _T], second: Coroutine[None, None, _T]) -> tuple[_T, _T]:
    """Run both concurrently. If both fail, raise the error of ``first``; its failure cancels ``second``."""
    other = asyncio.ensure_future(second)
    try:
        return await first, await other
    finally:
        other.cancel()
        await asyncio.gather(other, return_exceptions=True)
