"""What may come before a face, and how often: ``OCCLUDERS`` cover it, ``HARMLESS`` things do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from models.quality.train.cloth import mask, sheet
from models.quality.train.glasses import spectacles, sunglasses
from models.quality.train.hair import beard, fringe
from models.quality.train.layers import Layer, Scene
from models.quality.train.light import shadow
from models.quality.train.things import blob, bottle, hand, slab

Maker: TypeAlias = Callable[[Scene], Layer]
Makers: TypeAlias = tuple[tuple[Maker, float], ...]
"""What may come, and how often."""

OCCLUDERS: Makers = (
    (mask, 0.20),
    (sheet, 0.18),
    (hand, 0.16),
    (sunglasses, 0.14),
    (fringe, 0.09),
    (slab, 0.08),
    (bottle, 0.08),
    (blob, 0.07),
)
HARMLESS: Makers = ((spectacles, 0.5), (beard, 0.25), (shadow, 0.25))
