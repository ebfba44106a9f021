"""Hair: a fringe covers the face, a beard does not."""

import cv2
import numpy as np
from numpy.typing import NDArray

from app.vision.quality.crop import SIDE
from models.quality.train.layers import Layer, Scene, blank


def fringe(scene: Scene) -> Layer:
    """Return hair over the eyebrows, or down one side of the face."""
    rng = scene.rng
    random_colour = np.sort(rng.uniform((0, 0, 5), (90, 110, 150))) if rng.random() < 0.5 else None
    base = _hair_colour(scene) if random_colour is None else random_colour
    alpha, light = blank(), np.full((SIDE, SIDE), 0.7, np.float32)
    bottom, is_side, sign = rng.uniform(66, 108), rng.random() < 0.35, rng.choice([-1, 1])
    for _ in range(int(rng.integers(60, 240))):
        start = np.array([rng.uniform(30, 194), rng.uniform(-10, 30)])
        end = np.array([start[0] + rng.normal(0, 12), bottom + rng.normal(0, 9)])
        if is_side:
            start = np.array([112 + sign * rng.uniform(-20, 60), rng.uniform(-10, 20)])
            end = np.array([112 + sign * rng.uniform(25, 95), rng.uniform(120, 235)])
        bend = (start + end) / 2 + rng.normal(0, 9, 2) + (sign * 14 if is_side else 0)
        t = np.linspace(0, 1, 9)[:, None]
        strand = ((1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end).round().astype(np.int32)
        thickness = int(rng.integers(1, 7))
        cv2.polylines(light, [strand], False, rng.uniform(0.5, 1.4), max(thickness - 1, 1), cv2.LINE_AA)
        cv2.polylines(alpha, [strand], False, 1.0, thickness, cv2.LINE_AA)
    return Layer(np.clip(base * light[..., None], 0, 255).astype(np.float32), alpha)


def beard(scene: Scene) -> Layer:
    """Return short or long hair on chin and jaw, at most around the mouth."""
    rng = scene.rng
    random_colour = rng.uniform(10, 235) * np.array([0.75, 0.88, 1.0]) ** rng.uniform(0, 2)
    base = _hair_colour(scene) if rng.random() < 0.4 else random_colour
    alpha, light = blank(), np.ones((SIDE, SIDE), np.float32)
    half_width, top, bottom = rng.uniform(16, 62), rng.uniform(138, 172), rng.uniform(192, 222)
    for _ in range(int(rng.integers(200, 900))):
        x, y = 112 + half_width * rng.uniform(-1, 1), rng.uniform(top, bottom)
        is_cheek = y < 172 and abs(x - 112) < 34
        if is_cheek and not (top < 150 and 138 < y < 148):
            continue
        end = (int(x + (x - 112) * 0.1 + rng.normal(0, 3)), int(y + rng.uniform(3, 14)))
        cv2.line(alpha, (int(x), int(y)), end, rng.uniform(0.4, 1), int(rng.integers(1, 4)), cv2.LINE_AA)
        cv2.line(light, (int(x), int(y)), end, rng.uniform(0.6, 1.3), 1, cv2.LINE_AA)
    return Layer(np.clip(base * light[..., None], 0, 255).astype(np.float32), alpha)


def _hair_colour(scene: Scene) -> NDArray[np.float64]:
    """Return the median colour of the top of the crop, BGR."""
    return np.asarray(np.median(scene.face[8:36, 70:154].reshape(-1, 3), axis=0), np.float64)
