"""Masks and scarves over the lower face."""

from __future__ import annotations

import configparser
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from app.vision.quality.crop import SIDE
from models.quality.train.layers import TEMPLATES, Layer, Points, Rng, Scene, polygon, smooth, surface

_MASK_CORNERS = np.array([[52, 112], [112, 102], [172, 112], [62, 176], [112, 208], [162, 176]], np.float64)
"""Where the six points of a mask template (left, middle, right; above and below) come to lie."""


class _Template(NamedTuple):
    colour: NDArray[np.float32]
    alpha: NDArray[np.float32]
    points: Points


@lru_cache
def _templates() -> list[_Template]:
    config = configparser.ConfigParser()
    config.read(TEMPLATES / "masks.cfg")
    found = []
    for name in (name for name in config.sections() if "template" in config[name]):
        path = TEMPLATES / "templates" / Path(config[name]["template"]).name
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if picture is None or picture.shape[2] != 4:
            continue
        points = np.array([[float(n) for n in config[name][f"mask_{c}"].split(",")] for c in "abcdef"])
        found.append(_Template(picture[..., :3].astype(np.float32), picture[..., 3] / np.float32(255), points))
    return found


def mask(scene: Scene) -> Layer:
    """A cut-out mask, in its own colours or others; worn properly, or below the nose, or on the chin."""
    rng = scene.rng
    template = _templates()[rng.integers(len(_templates()))]
    corners = _worn(rng) + rng.normal(0, 4, (6, 2))
    matrix, _ = cv2.findHomography(template.points, corners)
    if matrix is None:
        return sheet(scene)
    colour = cv2.warpPerspective(template.colour, matrix, (SIDE, SIDE), flags=cv2.INTER_AREA)
    alpha = cv2.warpPerspective(template.alpha, matrix, (SIDE, SIDE), flags=cv2.INTER_AREA)
    if rng.random() < 0.6:
        grey = colour.mean(axis=2, keepdims=True)
        relief = grey / max(float(np.median(grey[alpha > 0.5])) if (alpha > 0.5).any() else 1.0, 1.0)
        colour = np.clip(surface(scene) * np.clip(relief, 0, 2), 0, 255)
    return Layer(colour.astype(np.float32), alpha.astype(np.float32))


def sheet(scene: Scene) -> Layer:
    """A drawn mask or scarf: cloth over the lower face, with straps or without."""
    rng = scene.rng
    corners = _worn(rng) + rng.normal(0, 5, (6, 2))
    outline = np.concatenate([corners[:3], corners[:2:-1]])
    if rng.random() < 0.3:
        height = rng.uniform(105, 185)
        outline = np.array([[20, height], [112, height + rng.uniform(-20, 15)], [204, height], [224, 224], [0, 224]])
        outline = outline + rng.normal(0, 6, (5, 2))
    alpha = polygon(smooth(outline, int(rng.integers(0, 4))))
    if rng.random() < 0.5:
        for corner, ear in ((0, 20), (2, 204), (3, 24), (5, 200)):
            line = (corners[corner].round().astype(int).tolist(), (ear, int(rng.integers(85, 130))))
            cv2.line(alpha, *line, 1.0, int(rng.integers(1, 5)), cv2.LINE_AA)
    return Layer(surface(scene), alpha)


def _worn(rng: Rng) -> Points:
    corners = _MASK_CORNERS.copy()
    corners[:, 0] = 112 + (corners[:, 0] - 112) * rng.uniform(0.85, 1.35) + rng.normal(0, 4)
    slip = rng.choice([0.0, 1.0, 2.0], p=[0.75, 0.17, 0.08])
    corners[:3, 1] += slip * rng.uniform(25, 38) + rng.normal(0, 7)
    corners[3:, 1] += slip * 8 + rng.normal(0, 7)
    return corners
