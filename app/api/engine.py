"""What the wire needs of an opened engine; ``app.engine.Engine`` has it, and so have the fakes of the tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeAlias

from app.config import Settings
from app.domain import Comparison, ImageRef, Options, Sight, Wanted
from app.ops.deadline import Deadline
from app.ops.metrics import Metrics


class Service(Protocol):
    """The use cases that actions call."""

    async def compare(self, a: ImageRef, b: ImageRef, options: Options, deadline: Deadline) -> Comparison: ...

    async def detect(self, image: ImageRef, wanted: Wanted, deadline: Deadline) -> Sight: ...


class EngineLike(Protocol):
    """An opened engine."""

    @property
    def service(self) -> Service: ...

    @property
    def metrics(self) -> Metrics: ...

    def facts(self) -> Mapping[str, object]: ...

    def is_busy(self, arriving: int) -> bool:
        """Whether work waits, or will for the requests that are ``arriving``: one more would only wait, too."""


OpenEngine: TypeAlias = Callable[[Settings], AbstractAsyncContextManager[EngineLike]]
"""Opens an engine for as long as the context lasts."""
