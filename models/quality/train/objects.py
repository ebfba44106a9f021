"""Hands and other objects in front of a face."""

import cv2
import numpy as np

from app.vision.quality.crop import SIDE
from models.quality.train.layers import Layer, Scene, blank, polygon, shading, skin, smooth, surface


def hand(scene: Scene) -> Layer:
    """Return fingers, usually with a palm, in the face's skin colour, at a random position."""
    rng = scene.rng
    alpha, light = blank(), np.ones((SIDE, SIDE), np.float32)
    tip = rng.uniform((50, 70), (174, 200))
    direction = np.arctan2(*(tip - (112, 120))[::-1]) + rng.normal(0, 0.7)
    thickness = rng.uniform(13, 24)
    sideways = np.array([-np.sin(direction), np.cos(direction)])
    for finger in range(int(rng.integers(1, 6))):
        start = tip + sideways * thickness * 1.05 * (finger - 1.5) + rng.normal(0, 3, 2)
        angle = direction + rng.normal(0, 0.12)
        end = start + np.array([np.cos(angle), np.sin(angle)]) * rng.uniform(50, 90)
        ends = (start.round().astype(int).tolist(), end.round().astype(int).tolist())
        cv2.line(light, *ends, rng.uniform(0.6, 0.85), int(thickness * 1.08), cv2.LINE_AA)
        cv2.line(light, *ends, rng.uniform(0.95, 1.1), int(thickness * 0.75), cv2.LINE_AA)
        cv2.line(alpha, *ends, 1.0, int(thickness), cv2.LINE_AA)
    if rng.random() < 0.7:
        centre = tip + np.array([np.cos(direction), np.sin(direction)]) * rng.uniform(60, 90)
        axes = (int(thickness * rng.uniform(1.8, 2.8)), int(thickness * rng.uniform(1.8, 2.6)))
        cv2.ellipse(alpha, centre.astype(int).tolist(), axes, np.degrees(direction), 0, 360, 1.0, -1, cv2.LINE_AA)
    light = np.asarray(cv2.GaussianBlur(light, (0, 0), rng.uniform(1.5, 4)), np.float32)
    grain = 1 + 0.06 * cv2.GaussianBlur(rng.normal(0, 2, (SIDE, SIDE)).astype(np.float32), (0, 0), rng.uniform(0.7, 3))
    colour = skin(scene) * (light * grain * np.clip(shading(rng), 0.6, 1.3))[..., None]
    return Layer(np.clip(colour, 0, 255).astype(np.float32), alpha)


def rectangle(scene: Scene) -> Layer:
    """Return paper, a telephone or a bar: a rotated rectangle, sometimes with lines of text."""
    rng = scene.rng
    centre, size = rng.uniform((30, 60), (194, 215)), rng.uniform((30, 14), (190, 110))
    box = cv2.boxPoints((centre.tolist(), size.tolist(), float(rng.choice([0.0, rng.uniform(-90, 90)]))))
    colour = surface(scene)
    if rng.random() < 0.25:
        for height in range(0, SIDE, int(rng.integers(6, 16))):
            cv2.line(colour, (0, height), (SIDE, height), (20, 20, 20), int(rng.integers(1, 3)))
    return Layer(colour, polygon(np.asarray(box, np.float64)))


def bottle(scene: Scene) -> Layer:
    """Return a bottle, a cup or a microphone in front of the mouth: a shaded cylinder."""
    rng = scene.rng
    width, top = rng.uniform(18, 80), rng.uniform(95, 185)
    middle, tilt = 112 + rng.normal(0, 25), rng.normal(0, 30)
    neck = rng.uniform(0.4, 1.3)
    sides = [[-neck, top], [neck, top], [1, top + rng.uniform(15, 50)], [1, 260], [-1, 260], [-1, top + 30]]
    outline = np.array(sides, np.float64)
    points = outline * [width / 2, 1] + [middle, 0] + (outline[:, 1:] - top) * [tilt / 120, 0]
    y, x = np.mgrid[:SIDE, :SIDE]
    shade = 1.15 - 0.55 * np.clip((x - middle - tilt * (y - top) / 120) / (width / 2), -1, 1) ** 2
    alpha = polygon(smooth(points) if rng.random() < 0.6 else points)
    if rng.random() < 0.35:
        cv2.circle(alpha, (int(middle), int(top)), int(width * rng.uniform(0.5, 0.8)), 1.0, -1, cv2.LINE_AA)
    return Layer(np.clip(surface(scene) * shade[..., None], 0, 255).astype(np.float32), alpha)


def random_shape(scene: Scene) -> Layer:
    """Return a random surface in a round or angular shape."""
    rng = scene.rng
    count = int(rng.integers(3, 9))
    angles = np.sort(rng.uniform(0, 2 * np.pi, count))
    radius = rng.uniform(18, 75) * rng.uniform(0.6, 1.4, count)
    points = rng.uniform((45, 60), (179, 210)) + np.stack([np.cos(angles), np.sin(angles)], 1) * radius[:, None]
    return Layer(surface(scene), polygon(smooth(points) if rng.random() < 0.7 else points))
