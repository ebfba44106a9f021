"""The use case: two image references in, one comparison out."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import NamedTuple, TypeVar

from app.domain import Comparison, Embedding, FaceModelVersion, ImageRef, Options
from app.errors import ApiError, ErrorCode
from app.imaging.fetch import Fetcher
from app.imaging.source import Source, at_hand
from app.ops.deadline import Deadline
from app.runtime.threads import Workers
from app.scoring.scale import Scale
from app.scoring.similarity import cosine
from app.service.recognise import Recogniser

_T = TypeVar("_T")


class Model(NamedTuple):
    """What answers one version: a pipeline, and the scale of its cosines."""

    recogniser: Recogniser
    scale: Scale


class CompareService:
    """Compares faces; keeps nothing between calls."""

    def __init__(self, models: Mapping[FaceModelVersion, Model], fetcher: Fetcher, workers: Workers) -> None:
        self._models = models
        self._fetcher = fetcher
        self._workers = workers

    async def compare(self, a: ImageRef, b: ImageRef, options: Options, deadline: Deadline) -> Comparison:
        """Compare the faces of ``a`` and ``b``; an error names its image, and A's comes before B's."""
        for name, ref in (("A", a), ("B", b)):
            if ref.is_empty:
                raise ApiError(ErrorCode.IMAGE_EMPTY, image=name)
        first, second = await _in_order(self._embed("A", a, options, deadline), self._embed("B", b, options, deadline))
        similarity = cosine(first, second)
        version = options.face_model_version
        return Comparison(self._models[version].scale.score(similarity), similarity, version)

    async def _embed(self, name: str, ref: ImageRef, options: Options, deadline: Deadline) -> Embedding:
        try:
            source = await at_hand(ref, self._fetcher, deadline)
            return await self._workers.run(self._recognise, source, options, deadline)
        except ApiError as error:
            raise error.about(name) from error

    def _recognise(self, source: Source, options: Options, deadline: Deadline) -> Embedding:
        return self._models[options.face_model_version].recogniser.recognise(source(), options, deadline)


async def _in_order(first: Coroutine[None, None, _T], second: Coroutine[None, None, _T]) -> tuple[_T, _T]:
    """Run both at the same time; the first one's error wins however they finish, and ends the second."""
    other = asyncio.ensure_future(second)
    try:
        return await first, await other
    finally:
        other.cancel()
        await asyncio.gather(other, return_exceptions=True)
