"""Use case: two image references -> comparison of their target faces."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from app.domain import CompareOptions, Comparison, EmbeddedFace, FaceModelVersion, ImageRef, Population
from app.errors import ApiError, ErrorCode
from app.imaging.fetch import Fetcher
from app.imaging.source import load_image
from app.ops.stage_timer import StageTimer
from app.runtime.worker_pool import WorkerPool
from app.scoring.scale import Scale
from app.scoring.similarity import cosine
from app.service.errors import api_errors
from app.service.face_pipeline import EmbeddingPipeline


@dataclass(frozen=True, slots=True)
class CompareService:
    """Compares the target faces of two images, with the pipeline and the score scale of the requested version.

    ``population``: the default for callers that select none.
    """

    pipelines: Mapping[FaceModelVersion, EmbeddingPipeline]
    scales: Mapping[tuple[FaceModelVersion, Population], Scale]
    population: Population
    fetcher: Fetcher
    workers: WorkerPool

    async def compare(self, a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
        """Compare the target faces of ``a`` and ``b``, which are processed concurrently.

        Raise ``ApiError`` with the name of the image. If both images fail, raise the error of A.
        """
        for name, ref in (("A", a), ("B", b)):
            if ref.is_empty:
                raise ApiError(ErrorCode.IMAGE_EMPTY, image=name)
        task_b = asyncio.ensure_future(self._embed("B", b, options, timer))
        try:
            face_a, face_b = await self._embed("A", a, options, timer), await task_b
        finally:
            task_b.cancel()
            await asyncio.gather(task_b, return_exceptions=True)
        (embedding_a, notes_a), (embedding_b, notes_b) = face_a, face_b
        version, population = options.face_model_version, options.population or self.population
        # The last value of an embedding is its degradation; the cosine is reduced by the product of both.
        similarity, degradation = cosine(embedding_a, embedding_b), (float(embedding_a[-1]), float(embedding_b[-1]))
        timer.details |= {"population": population.value, "degradation": [round(value, 2) for value in degradation]}
        if notes := {name: list(values) for name, values in (("A", notes_a), ("B", notes_b)) if values}:
            timer.details["notes"] = notes
        score = self.scales[version, population].score(similarity)
        return Comparison(score, similarity, version, population, degradation, (notes_a, notes_b))

    async def _embed(self, name: str, ref: ImageRef, options: CompareOptions, timer: StageTimer) -> EmbeddedFace:
        pipeline = self.pipelines[options.face_model_version]
        with api_errors(image=name):
            source = await load_image(ref, self.fetcher, timer)
            return await self.workers.run(pipeline.embed, source, options, timer)
