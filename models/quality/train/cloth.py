"""Masks and scarves over the lower face."""

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
"""Positions in the crop of the six points of a mask template: left, middle, right; top, then bottom."""


class _Template(NamedTuple):
    """A mask of MaskTheFace: its colours (BGR, 0-255), its alpha (0-1), and its six points in pixels."""

    colour: NDArray[np.float32]
    alpha: NDArray[np.float32]
    points: Points


@lru_cache
def _templates() -> list[_Template]:
    config = configparser.ConfigParser()
    config.read(TEMPLATES / "masks.cfg")
    templates = []
    for name in (name for name in config.sections() if "template" in config[name]):
        path = TEMPLATES / "templates" / Path(config[name]["template"]).name
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if image is None or image.shape[2] != 4:
            continue
        points = np.array([[float(n) for n in config[name][f"mask_{c}"].split(",")] for c in "abcdef"])
        templates.append(_Template(image[..., :3].astype(np.float32), image[..., 3] / np.float32(255), points))
    return templates


def mask(scene: Scene) -> Layer:
    """Return a photographed mask, in its own or other colours, worn properly, below the nose or on the chin."""
    rng = scene.rng
    template = _templates()[rng.integers(len(_templates()))]
    corners = _worn_corners(rng) + rng.normal(0, 4, (6, 2))
    matrix, _ = cv2.findHomography(template.points, corners)
    if matrix is None:
        return drawn_cloth(scene)
    colour = cv2.warpPerspective(template.colour, matrix, (SIDE, SIDE), flags=cv2.INTER_AREA)
    alpha = cv2.warpPerspective(template.alpha, matrix, (SIDE, SIDE), flags=cv2.INTER_AREA)
    if rng.random() < 0.6:
        grey = colour.mean(axis=2, keepdims=True)
        relief = grey / max(float(np.median(grey[alpha > 0.5])) if (alpha > 0.5).any() else 1.0, 1.0)
        colour = np.clip(surface(scene) * np.clip(relief, 0, 2), 0, 255)
    return Layer(colour.astype(np.float32), alpha.astype(np.float32))


def drawn_cloth(scene: Scene) -> Layer:
    """Return a drawn mask or scarf over the lower face, with or without straps."""
    rng = scene.rng
    corners = _worn_corners(rng) + rng.normal(0, 5, (6, 2))
    outline = np.concatenate([corners[:3], corners[:2:-1]])
    if rng.random() < 0.3:
        height = rng.uniform(105, 185)
        outline = np.array([[20, height], [112, height + rng.uniform(-20, 15)], [204, height], [224, 224], [0, 224]])
        outline = outline + rng.normal(0, 6, (5, 2))
    alpha = polygon(smooth(outline, int(rng.integers(0, 4))))
    if rng.random() < 0.5:
        for corner, ear in ((0, 20), (2, 204), (3, 24), (5, 200)):
            strap = (corners[corner].round().astype(int).tolist(), (ear, int(rng.integers(85, 130))))
            cv2.line(alpha, *strap, 1.0, int(rng.integers(1, 5)), cv2.LINE_AA)
    return Layer(surface(scene), alpha)


def _worn_corners(rng: Rng) -> Points:
    """Return the six points of a mask at a random width and height: proper, below the nose or on the chin."""
    corners = _MASK_CORNERS.copy()
    corners[:, 0] = 112 + (corners[:, 0] - 112) * rng.uniform(0.85, 1.35) + rng.normal(0, 4)
    slip = rng.choice([0.0, 1.0, 2.0], p=[0.75, 0.17, 0.08])
    corners[:3, 1] += slip * rng.uniform(25, 38) + rng.normal(0, 7)
    corners[3:, 1] += slip * 8 + rng.normal(0, 7)
    return corners
