"""Line charts as SVG text: no scripts, no fonts, colours by class from the page around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

_WIDTH, _HEIGHT = 640, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 26, 14, 50
_ANCHOR = {"start": 9, "end": -9}

Kind: TypeAlias = Literal["genuine", "impostor", "curve", "guess"]


class Axis(NamedTuple):
    """One axis, linear or logarithmic; ``ticks`` are values and their texts."""

    title: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    is_log: bool = False

    def share(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return how far along the axis ``values`` are, 0 to 1; what lies outside is moved to the end."""
        inside = np.clip(np.asarray(values, dtype=np.float64), self.low, self.high)
        low, high = np.float64(self.low), np.float64(self.high)
        if self.is_log:
            inside, low, high = np.log(inside), np.log(low), np.log(high)
        return np.asarray((inside - low) / (high - low))


@dataclass(slots=True)
class Chart:
    """A chart under construction; ``svg`` returns it."""

    title: str
    x: Axis
    y: Axis
    _shapes: list[str] = field(default_factory=list)

    def line(self, x: ArrayLike, y: ArrayLike, kind: Kind) -> None:
        self._shapes.append(f'<polyline class="{kind}" points="{self._points(x, y)}"/>')

    def steps(self, edges: ArrayLike, heights: ArrayLike, kind: Kind) -> None:
        """Draw a histogram: ``heights[i]`` between ``edges[i]`` and ``edges[i + 1]``, filled."""
        x = np.repeat(np.asarray(edges), 2)
        y = np.concatenate([[self.y.low], np.repeat(np.asarray(heights), 2), [self.y.low]])
        self._shapes.append(f'<polygon class="{kind}" points="{self._points(x, y)}"/>')

    def mark(self, x: float, y: float, text: str, anchor: Literal["start", "end"] = "start", drop: int = -8) -> None:
        """Draw a dot at (x, y) with ``text`` beside it, ``drop`` pixels below its middle."""
        (left,), (top,) = self._pixels([x], [y])
        self._shapes.append(
            f'<circle cx="{left:.1f}" cy="{top:.1f}" r="4.5"/><text class="mark" x="{left + _ANCHOR[anchor]:.1f}" '
            f'y="{top + drop:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def svg(self) -> str:
        right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
        x, y = (_LEFT + right) / 2, (_TOP + bottom) / 2
        parts = [
            f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"><title>{escape(self.title)}</title>',
            *(self._column(value, text, bottom) for value, text in self.x.ticks),
            *(self._row(value, text, right) for value, text in self.y.ticks),
            f'<text x="{x}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(self.x.title)}</text>',
            f'<text transform="translate(13 {y}) rotate(-90)" text-anchor="middle">{escape(self.y.title)}</text>',
            *self._shapes,
            f'<path class="frame" d="M{_LEFT} {_TOP}V{bottom}H{right}"/></svg>',
        ]
        return "".join(parts)

    def _column(self, value: float, text: str, bottom: int) -> str:
        (x,), _ = self._pixels([value], [self.y.low])
        grid = f'<path class="grid" d="M{x:.1f} {_TOP}V{bottom}"/>'
        return f'{grid}<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{escape(text)}</text>'

    def _row(self, value: float, text: str, right: int) -> str:
        _, (y,) = self._pixels([self.x.low], [value])
        grid = f'<path class="grid" d="M{_LEFT} {y:.1f}H{right}"/>'
        return f'{grid}<text x="{_LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{escape(text)}</text>'

    def _pixels(self, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        left = _LEFT + self.x.share(x) * (_WIDTH - _LEFT - _RIGHT)
        top = _TOP + (1.0 - self.y.share(y)) * (_HEIGHT - _TOP - _BOTTOM)
        return left, top

    def _points(self, x: ArrayLike, y: ArrayLike) -> str:
        return " ".join(f"{left:.1f},{top:.1f}" for left, top in zip(*self._pixels(x, y), strict=True))
