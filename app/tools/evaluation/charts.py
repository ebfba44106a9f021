"""Line charts as SVG text, without scripts and fonts; the page around them defines the colours by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

_WIDTH, _HEIGHT = 640, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 26, 14, 50
_ANCHOR_OFFSET = {"start": 9, "end": -9}

SeriesClass: TypeAlias = Literal["genuine", "impostor", "curve", "extrapolated"]
"""CSS class of a series."""


class Axis(NamedTuple):
    """A linear or logarithmic axis; ``ticks`` are values and their labels."""

    title: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    is_log: bool = False

    def share(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return the position of ``values`` on the axis, 0 to 1; values outside are clipped to its ends."""
        clipped = np.clip(np.asarray(values, dtype=np.float64), self.low, self.high)
        low, high = np.float64(self.low), np.float64(self.high)
        if self.is_log:
            clipped, low, high = np.log(clipped), np.log(low), np.log(high)
        return np.asarray((clipped - low) / (high - low))


@dataclass(slots=True)
class Chart:
    """A chart under construction; ``svg`` renders it."""

    title: str
    x: Axis
    y: Axis
    _shapes: list[str] = field(default_factory=list)

    def line(self, x: ArrayLike, y: ArrayLike, series: SeriesClass) -> None:
        self._shapes.append(f'<polyline class="{series}" points="{self._points(x, y)}"/>')

    def steps(self, edges: ArrayLike, heights: ArrayLike, series: SeriesClass) -> None:
        """Draw a filled histogram: ``heights[i]`` between ``edges[i]`` and ``edges[i + 1]``."""
        x = np.repeat(np.asarray(edges), 2)
        y = np.concatenate([[self.y.low], np.repeat(np.asarray(heights), 2), [self.y.low]])
        self._shapes.append(f'<polygon class="{series}" points="{self._points(x, y)}"/>')

    def mark(
        self, x: float, y: float, label: str, anchor: Literal["start", "end"] = "start", label_offset: int = -8
    ) -> None:
        """Draw a dot at (x, y) with ``label`` beside it, ``label_offset`` pixels below its centre."""
        (left,), (top,) = self._pixels([x], [y])
        self._shapes.append(
            f'<circle cx="{left:.1f}" cy="{top:.1f}" r="4.5"/><text class="mark" '
            f'x="{left + _ANCHOR_OFFSET[anchor]:.1f}" y="{top + label_offset:.1f}" text-anchor="{anchor}">'
            f"{escape(label)}</text>"
        )

    def svg(self) -> str:
        right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
        x, y = (_LEFT + right) / 2, (_TOP + bottom) / 2
        parts = [
            f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"><title>{escape(self.title)}</title>',
            *(self._x_tick(value, label, bottom) for value, label in self.x.ticks),
            *(self._y_tick(value, label, right) for value, label in self.y.ticks),
            f'<text x="{x}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(self.x.title)}</text>',
            f'<text transform="translate(13 {y}) rotate(-90)" text-anchor="middle">{escape(self.y.title)}</text>',
            *self._shapes,
            f'<path class="frame" d="M{_LEFT} {_TOP}V{bottom}H{right}"/></svg>',
        ]
        return "".join(parts)

    def _x_tick(self, value: float, label: str, bottom: int) -> str:
        (x,), _ = self._pixels([value], [self.y.low])
        grid = f'<path class="grid" d="M{x:.1f} {_TOP}V{bottom}"/>'
        return f'{grid}<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{escape(label)}</text>'

    def _y_tick(self, value: float, label: str, right: int) -> str:
        _, (y,) = self._pixels([self.x.low], [value])
        grid = f'<path class="grid" d="M{_LEFT} {y:.1f}H{right}"/>'
        return f'{grid}<text x="{_LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{escape(label)}</text>'

    def _pixels(self, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        left = _LEFT + self.x.share(x) * (_WIDTH - _LEFT - _RIGHT)
        top = _TOP + (1.0 - self.y.share(y)) * (_HEIGHT - _TOP - _BOTTOM)
        return left, top

    def _points(self, x: ArrayLike, y: ArrayLike) -> str:
        return " ".join(f"{left:.1f},{top:.1f}" for left, top in zip(*self._pixels(x, y), strict=True))
