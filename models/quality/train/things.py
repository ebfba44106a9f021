"""Hands and whatever else may come before a face."""

from __future__ import annotations

import cv2
import numpy as np

from app.vision.quality.crop import SIDE
from models.quality.train.layers import Layer, Scene, blank, polygon, shading, skin, smooth, surface


def hand(scene: Scene) -> Layer:
    """Fingers, and mostly a palm, of the face's own skin, somewhere."""
    rng = scene.rng
    alpha, light = blank(), np.ones((SIDE, SIDE), np.float32)
    tip = rng.uniform((50, 70), (174, 200))
    away = np.arctan2(*(tip - (112, 120))[::-1]) + rng.normal(0, 0.7)
    thick = rng.uniform(13, 24)
    offload = np.array([-np.sin(away), np.cos(away)])
    for finger in range(int(rng.integers(1, 6))):
        start = tip + offload * thick * 1.05 * (finger - 1.5) + rng.normal(0, 3, 2)
        angle = away + rng.normal(0, 0.12)
        end = start + np.array([np.cos(angle), np.sin(angle)]) * rng.uniform(50, 90)
        ends = (start.round().astype(int).tolist(), end.round().astype(int).tolist())
        cv2.line(light, *ends, rng.uniform(0.6, 0.85), int(thick * 1.08), cv2.LINE_AA)
        cv2.line(light, *ends, rng.uniform(0.95, 1.1), int(thick * 0.75), cv2.LINE_AA)
        cv2.line(alpha, *ends, 1.0, int(thick), cv2.LINE_AA)
    if rng.random() < 0.7:
        centre = tip + np.array([np.cos(away), np.sin(away)]) * rng.uniform(60, 90)
        axes = (int(thick * rng.uniform(1.8, 2.8)), int(thick * rng.uniform(1.8, 2.6)))
        cv2.ellipse(alpha, centre.astype(int).tolist(), axes, np.degrees(away), 0, 360, 1.0, -1, cv2.LINE_AA)
    light = np.asarray(cv2.GaussianBlur(light, (0, 0), rng.uniform(1.5, 4)), np.float32)
    grain = 1 + 0.06 * cv2.GaussianBlur(rng.normal(0, 2, (SIDE, SIDE)).astype(np.float32), (0, 0), rng.uniform(0.7, 3))
    colour = skin(scene) * (light * grain * np.clip(shading(rng), 0.6, 1.3))[..., None]
    return Layer(np.clip(colour, 0, 255).astype(np.float32), alpha)


def slab(scene: Scene) -> Layer:
    """Paper, a telephone, a bar: a turned rectangle, anywhere, at times with lines of writing."""
    rng = scene.rng
    centre, size = rng.uniform((30, 60), (194, 215)), rng.uniform((30, 14), (190, 110))
    box = cv2.boxPoints((centre.tolist(), size.tolist(), float(rng.choice([0.0, rng.uniform(-90, 90)]))))
    colour = surface(scene)
    if rng.random() < 0.25:
        for height in range(0, SIDE, int(rng.integers(6, 16))):
            cv2.line(colour, (0, height), (SIDE, height), (20, 20, 20), int(rng.integers(1, 3)))
    return Layer(colour, polygon(np.asarray(box, np.float64)))


def bottle(scene: Scene) -> Layer:
    """A bottle, a cup or a microphone before the mouth: a cylinder, lit as one."""
    rng = scene.rng
    width, top = rng.uniform(18, 80), rng.uniform(95, 185)
    middle, lean = 112 + rng.normal(0, 25), rng.normal(0, 30)
    neck = rng.uniform(0.4, 1.3)
    sides = [[-neck, top], [neck, top], [1, top + rng.uniform(15, 50)], [1, 260], [-1, 260], [-1, top + 30]]
    outline = np.array(sides, np.float64)
    points = outline * [width / 2, 1] + [middle, 0] + (outline[:, 1:] - top) * [lean / 120, 0]
    y, x = np.mgrid[:SIDE, :SIDE]
    round_ = 1.15 - 0.55 * np.clip((x - middle - lean * (y - top) / 120) / (width / 2), -1, 1) ** 2
    alpha = polygon(smooth(points) if rng.random() < 0.6 else points)
    if rng.random() < 0.35:
        cv2.circle(alpha, (int(middle), int(top)), int(width * rng.uniform(0.5, 0.8)), 1.0, -1, cv2.LINE_AA)
    return Layer(np.clip(surface(scene) * round_[..., None], 0, 255).astype(np.float32), alpha)


def blob(scene: Scene) -> Layer:
    """Some surface in some round or cornered shape: whatever else there is."""
    rng = scene.rng
    count = int(rng.integers(3, 9))
    angles = np.sort(rng.uniform(0, 2 * np.pi, count))
    radius = rng.uniform(18, 75) * rng.uniform(0.6, 1.4, count)
    points = rng.uniform((45, 60), (179, 210)) + np.stack([np.cos(angles), np.sin(angles)], 1) * radius[:, None]
    return Layer(surface(scene), polygon(smooth(points) if rng.random() < 0.7 else points))
