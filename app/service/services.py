"""The use cases that actions call, one field each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from app.domain import CompareOptions, Comparison, DetectionResult, DetectOptions, ImageRef
from app.ops.stage_timer import StageTimer


class Services(NamedTuple):
    """A new action adds a field here, and its construction in ``Engine.open``."""

    compare: Callable[[ImageRef, ImageRef, CompareOptions, StageTimer], Awaitable[Comparison]]
    detect: Callable[[ImageRef, DetectOptions, StageTimer], Awaitable[DetectionResult]]
