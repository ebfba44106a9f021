"""Shadows and patches of sunlight, which cover nothing."""

import numpy as np

from app.vision.quality.crop import SIDE
from models.quality.train.layers import Layer, Scene


def shadow(scene: Scene) -> Layer:
    """Return the edge of a shadow, or a patch of sunlight, across the face."""
    rng = scene.rng
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    depth = x * np.cos(angle) + y * np.sin(angle) + rng.normal(0, 45)
    alpha = (rng.uniform(0.2, 0.7) / (1 + np.exp(-depth * rng.uniform(0.05, 0.8)))).astype(np.float32)
    value = rng.choice([0.0, 255.0], p=[0.8, 0.2])
    return Layer(np.full((SIDE, SIDE, 3), value, np.float32), alpha * np.float32(1 if value == 0 else 0.5))
