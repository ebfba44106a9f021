"""The use cases as the API calls them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app.domain import CompareOptions, Comparison, DetectionResult, DetectOptions, ImageRef
from app.ops.stage_timer import StageTimer


@dataclass(frozen=True, slots=True)
class Services:
    """One field per use case; ``Engine.open`` constructs them."""

    compare: Callable[[ImageRef, ImageRef, CompareOptions, StageTimer], Awaitable[Comparison]]
    detect: Callable[[ImageRef, DetectOptions, StageTimer], Awaitable[DetectionResult]]
