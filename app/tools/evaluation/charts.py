"""Line charts as SVG text, without scripts and fonts; the page around them defines the colours by class."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from app.tools.evaluation.percent import percent

_WIDTH, _HEIGHT = 640, 380
_LEFT, _TOP, _RIGHT, _BOTTOM = 102, 14, 608, 330
"""Edges of the plot area in pixels."""


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
        if self.is_log:
            return np.asarray(np.log(clipped / self.low) / np.log(self.high / self.low))
        return np.asarray((clipped - self.low) / (self.high - self.low))


@dataclass(slots=True)
class Chart:
    """A chart under construction; ``svg`` renders it. ``css_class`` is the class of a series."""

    title: str
    x: Axis
    y: Axis
    _shapes: list[str] = field(default_factory=list)

    def line(self, x: ArrayLike, y: ArrayLike, css_class: str) -> None:
        self._shapes.append(f'<polyline class="{css_class}" points="{self._points(x, y)}"/>')

    def histogram(self, edges: ArrayLike, heights: ArrayLike, css_class: str) -> None:
        """Draw filled bars: ``heights[i]`` between ``edges[i]`` and ``edges[i + 1]``."""
        x = np.repeat(np.asarray(edges), 2)
        y = np.concatenate([[self.y.low], np.repeat(np.asarray(heights), 2), [self.y.low]])
        self._shapes.append(f'<polygon class="{css_class}" points="{self._points(x, y)}"/>')

    def dot(self, x: float, y: float, label: str, label_offset: int) -> None:
        """Draw a dot at (x, y), and ``label`` to its right, ``label_offset`` pixels below its centre."""
        left, top = self._left(x), self._top(y)
        self._shapes.append(
            f'<circle cx="{left:.1f}" cy="{top:.1f}" r="4.5"/><text class="mark" '
            f'x="{left + 9:.1f}" y="{top + label_offset:.1f}" text-anchor="start">{escape(label)}</text>'
        )

    def threshold(self, x: float, label: str) -> None:
        """Draw a vertical line at ``x`` with ``label`` to the right of its upper end."""
        left = self._left(x)
        self._shapes.append(
            f'<path class="threshold" d="M{left:.1f} {_TOP}V{_BOTTOM}"/>'
            f'<text class="mark" x="{left + 4:.1f}" y="{_TOP + 10}" text-anchor="start">{escape(label)}</text>'
        )

    def svg(self) -> str:
        x, y = (_LEFT + _RIGHT) / 2, (_TOP + _BOTTOM) / 2
        parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"><title>{escape(self.title)}</title>']
        for value, label in self.x.ticks:
            left = self._left(value)
            parts.append(f'<path class="grid" d="M{left:.1f} {_TOP}V{_BOTTOM}"/>')
            parts.append(f'<text x="{left:.1f}" y="{_BOTTOM + 18}" text-anchor="middle">{escape(label)}</text>')
        for value, label in self.y.ticks:
            top = self._top(value)
            parts.append(f'<path class="grid" d="M{_LEFT} {top:.1f}H{_RIGHT}"/>')
            parts.append(f'<text x="{_LEFT - 7}" y="{top + 4:.1f}" text-anchor="end">{escape(label)}</text>')
        parts += [
            f'<text x="{x}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(self.x.title)}</text>',
            f'<text transform="translate(13 {y}) rotate(-90)" text-anchor="middle">{escape(self.y.title)}</text>',
            *self._shapes,
            f'<path class="frame" d="M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}"/></svg>',
        ]
        return "".join(parts)

    def _left(self, x: ArrayLike) -> NDArray[np.float64]:
        return _LEFT + self.x.share(x) * (_RIGHT - _LEFT)

    def _top(self, y: ArrayLike) -> NDArray[np.float64]:
        return _BOTTOM - self.y.share(y) * (_BOTTOM - _TOP)

    def _points(self, x: ArrayLike, y: ArrayLike) -> str:
        return " ".join(f"{left:.1f},{top:.1f}" for left, top in zip(self._left(x), self._top(y), strict=True))


def power_ticks(low: float) -> list[tuple[float, str]]:
    """Return the ticks of a logarithmic axis of shares from ``low`` to 1: the powers of ten in percent."""
    return [(10.0**n, percent(10.0**n)) for n in range(math.ceil(math.log10(low)), 1)]
