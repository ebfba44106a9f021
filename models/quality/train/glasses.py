"""Glasses: sunglasses cover the eyes, spectacles do not."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from app.vision.quality.crop import SIDE
from models.quality.train.layers import Layer, Points, Rng, Scene, blank, patch, polygon


def _lenses(rng: Rng) -> list[Points]:
    """Return the outlines of two lenses around the eyes."""
    half_width, half_height, exponent = rng.uniform(20, 32), rng.uniform(12, 26), rng.uniform(2, 6)
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    power = 2 / exponent
    ring = np.stack(
        [
            np.abs(np.cos(angles)) ** power * np.sign(np.cos(angles)) * half_width,
            np.abs(np.sin(angles)) ** power * np.sign(np.sin(angles)) * half_height,
        ],
        1,
    )
    droop, tilt = rng.uniform(-0.25, 0.35), rng.normal(0, 3)
    middle, height = 112 + rng.normal(0, 3), 90 + rng.normal(0, 5)
    gap = max(30 + rng.normal(0, 2), half_width * 0.98)
    left = ring + np.stack([np.zeros(40), ring[:, 0] * droop * 0.4], 1) + [middle - gap, height + tilt]
    right = ring + np.stack([np.zeros(40), -ring[:, 0] * droop * 0.4], 1) + [middle + gap, height - tilt]
    return [left, right]


def _draw_frame(canvas: NDArray[np.float32], lenses: Sequence[Points], thickness: int) -> None:
    """Draw rims, bridge and temples on ``canvas``."""
    for lens in lenses:
        cv2.polylines(canvas, [lens.round().astype(np.int32)], True, 1.0, thickness, cv2.LINE_AA)
    left, right = lenses
    bridge = [left[:, 0].max(), left[:, 1].mean() - 4, right[:, 0].min(), right[:, 1].mean() - 4]
    x0, y0, x1, y1 = (int(value) for value in bridge)
    cv2.line(canvas, (x0, y0), (x1, y1), 1.0, thickness, cv2.LINE_AA)
    for lens, end in ((left, 8), (right, 216)):
        outer = lens[np.argmin(lens[:, 0]) if end < SIDE // 2 else np.argmax(lens[:, 0])]
        cv2.line(canvas, outer.astype(int).tolist(), (end, int(outer[1]) - 3), 1.0, thickness, cv2.LINE_AA)


def sunglasses(scene: Scene) -> Layer:
    """Return dark or mirrored lenses that hide the eyes."""
    rng = scene.rng
    lenses = _lenses(rng)
    alpha = np.maximum(polygon(lenses[0]), polygon(lenses[1])) * np.float32(rng.uniform(0.82, 1))
    frame = blank()
    _draw_frame(frame, lenses, int(rng.integers(1, 8)))
    y = np.linspace(rng.uniform(0.3, 1), rng.uniform(1, 1.8), SIDE, dtype=np.float32)[:, None, None]
    tint = rng.uniform(0, 60, 3) if rng.random() < 0.8 else rng.uniform(0, 220, 3)
    colour = np.clip(np.broadcast_to(tint * y, (SIDE, SIDE, 3)) + 0.2 * rng.random() * patch(scene), 0, 255)
    edge = rng.uniform(0, 200, 3) if rng.random() < 0.4 else rng.uniform(0, 40, 3)
    colour = colour * (1 - frame[..., None]) + edge * frame[..., None]
    return Layer(colour.astype(np.float32), np.maximum(alpha, frame))


def spectacles(scene: Scene) -> Layer:
    """Return frames with clear lenses and reflections; the eyes stay visible."""
    rng = scene.rng
    lenses = _lenses(rng)
    frame = blank()
    _draw_frame(frame, lenses, int(rng.choice([1, 2, 3, 4, 6], p=[0.25, 0.25, 0.25, 0.15, 0.1])))
    glare = blank()
    if rng.random() < 0.5:
        band = rng.uniform(40, 184)
        glare = polygon(np.array([[band, 60], [band + rng.uniform(4, 22), 60], [band - 20, 120], [band - 36, 120]]))
        glare *= np.maximum(polygon(lenses[0]), polygon(lenses[1])) * np.float32(rng.uniform(0.1, 0.5))
        glare = cv2.GaussianBlur(glare, (0, 0), rng.uniform(0.5, 3)).astype(np.float32)
    tint = np.maximum(polygon(lenses[0]), polygon(lenses[1])) * np.float32(max(rng.uniform(-0.2, 0.3), 0))
    edge = rng.uniform(0, 200, 3) if rng.random() < 0.4 else rng.uniform(0, 50, 3)
    alpha = np.maximum.reduce([frame, glare, tint])
    white, dark = np.array([250.0] * 3), rng.uniform(0, 90, 3)
    weighted = frame[..., None] * edge + glare[..., None] * white + tint[..., None] * dark
    colour = weighted / np.maximum(frame + glare + tint, 1e-3)[..., None]
    return Layer(colour.astype(np.float32), alpha)
