"""The interface of an opened engine, as the API uses it; ``app.engine.Engine`` implements it, and so do test fakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeAlias

from app.environment import Settings
from app.ops.metrics import Metrics
from app.service.services import Services


class EngineLike(Protocol):
    """An opened engine."""

    @property
    def services(self) -> Services: ...

    @property
    def metrics(self) -> Metrics: ...

    def facts(self) -> Mapping[str, object]: ...

    def is_busy(self, arriving: int) -> bool:
        """Whether images queue for a worker, or will once ``arriving`` more requests are processed."""


OpenEngine: TypeAlias = Callable[[Settings], AbstractAsyncContextManager[EngineLike]]
"""Opens an engine for as long as the context lasts."""
