"""Objects in front of a face and how often they occur: ``OCCLUDERS`` cover it, ``HARMLESS`` objects do not."""

from collections.abc import Callable
from typing import TypeAlias

from models.quality.train.cloth import drawn_cloth, mask
from models.quality.train.glasses import spectacles, sunglasses
from models.quality.train.hair import beard, fringe
from models.quality.train.layers import Layer, Scene
from models.quality.train.light import shadow
from models.quality.train.objects import bottle, hand, random_shape, rectangle

Maker: TypeAlias = Callable[[Scene], Layer]
Makers: TypeAlias = tuple[tuple[Maker, float], ...]
"""Functions that make a layer, and their relative frequencies."""

OCCLUDERS: Makers = (
    (mask, 0.20),
    (drawn_cloth, 0.18),
    (hand, 0.16),
    (sunglasses, 0.14),
    (fringe, 0.09),
    (rectangle, 0.08),
    (bottle, 0.08),
    (random_shape, 0.07),
)
HARMLESS: Makers = ((spectacles, 0.5), (beard, 0.25), (shadow, 0.25))
