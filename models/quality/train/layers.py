"""Layers that are blended over a quality crop, and their surfaces. Coordinates are pixels of the crop."""

from functools import lru_cache
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Crop
from app.vision.quality.crop import SIDE
from models.quality.train.faces import DATA

TEMPLATES = DATA / "mask_templates"

Rng: TypeAlias = np.random.Generator
Points: TypeAlias = NDArray[np.float64]


class Layer(NamedTuple):
    """``colour``: SIDE x SIDE x 3, float32, BGR, 0-255. ``alpha``: SIDE x SIDE, float32, opacity, 0-1."""

    colour: NDArray[np.float32]
    alpha: NDArray[np.float32]


class Scene(NamedTuple):
    """The crop of the face to cover, the crop of another face as a source of surfaces, and the random generator."""

    face: Crop
    other: Crop
    rng: Rng


def blank() -> NDArray[np.float32]:
    """Return SIDE x SIDE zeros."""
    return np.zeros((SIDE, SIDE), np.float32)


def polygon(points: Points) -> NDArray[np.float32]:
    """Return the alpha of a filled polygon."""
    return np.asarray(cv2.fillPoly(blank(), [points.round().astype(np.int32)], 1.0, cv2.LINE_AA), np.float32)


def smooth(points: Points, steps: int = 3) -> Points:
    """Return the closed polygon with rounded corners (Chaikin's algorithm)."""
    for _ in range(steps):
        following = np.roll(points, -1, axis=0)
        points = np.stack([0.75 * points + 0.25 * following, 0.25 * points + 0.75 * following], axis=1).reshape(-1, 2)
    return points


def skin(scene: Scene) -> NDArray[np.float32]:
    """Return the colour of the cheeks, randomly lighter or darker, BGR."""
    cheeks = np.concatenate([scene.face[105:140, 60:85].reshape(-1, 3), scene.face[105:140, 140:165].reshape(-1, 3)])
    return np.asarray(np.clip(np.median(cheeks, axis=0) * scene.rng.uniform(0.7, 1.25), 0, 255), np.float32)


def surface(scene: Scene) -> NDArray[np.float32]:
    """Return the colours of a plain, striped, photographed, textured or noisy surface with random shading."""
    rng = scene.rng
    base = rng.choice([rng.uniform(0, 255, 3), np.full(3, rng.uniform(0, 255))]).astype(np.float32)
    kind = rng.choice(["plain", "stripes", "photo", "texture", "noise"], p=[0.5, 0.12, 0.2, 0.1, 0.08])
    colour = np.broadcast_to(base, (SIDE, SIDE, 3)).astype(np.float32)
    if kind == "stripes":
        y, x = np.mgrid[:SIDE, :SIDE]
        angle = rng.uniform(0, np.pi)
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / rng.uniform(4, 40)) > rng.uniform(-0.7, 0.7)
        colour = np.where(wave[..., None], colour, rng.uniform(0, 255, 3)).astype(np.float32)
    elif kind == "photo":
        colour = patch(scene)
    elif kind == "texture":
        textures = _textures()
        texture = textures[rng.integers(len(textures))]
        size = int(rng.integers(SIDE // 2, 2 * SIDE))
        tile = cv2.resize(texture, (size, size), interpolation=cv2.INTER_AREA)
        colour = np.tile(tile, (SIDE // size + 1, SIDE // size + 1, 1))[:SIDE, :SIDE].astype(np.float32)
    elif kind == "noise":
        grain = rng.normal(0, rng.uniform(10, 50), (SIDE // 4, SIDE // 4, 1)).astype(np.float32)
        colour = colour + cv2.resize(grain, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)[..., None]
    return np.ascontiguousarray(np.clip(colour * shading(rng)[..., None], 0, 255), np.float32)


def patch(scene: Scene) -> NDArray[np.float32]:
    """Return an enlarged, randomly rotated part of the other crop."""
    size = int(scene.rng.integers(SIDE // 4, SIDE))
    left, top = scene.rng.integers(0, SIDE - size, 2)
    square = scene.other[top : top + size, left : left + size]
    rotated = np.rot90(square, int(scene.rng.integers(4)))
    return np.asarray(cv2.resize(rotated, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), np.float32)


def shading(rng: Rng) -> NDArray[np.float32]:
    """Return factors of brightness around 1: soft light and folds."""
    coarse = rng.normal(1, rng.uniform(0, 0.25), (int(rng.integers(2, 6)), int(rng.integers(2, 6)))).astype(np.float32)
    light = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.4:
        folds = blank()
        for height in rng.uniform(90, 200, rng.integers(1, 5)):
            bend = np.stack([np.linspace(30, 194, 9), height + rng.normal(0, 4, 9).cumsum() / 2], axis=1)
            cv2.polylines(
                folds, [bend.round().astype(np.int32)], False, rng.uniform(-0.4, 0.3), int(rng.integers(1, 5))
            )
        light = light + cv2.GaussianBlur(folds, (0, 0), rng.uniform(0.5, 3))
    return light.astype(np.float32)


@lru_cache
def _textures() -> list[Crop]:
    return [np.asarray(cv2.imread(str(path)), np.uint8) for path in sorted(TEMPLATES.glob("textures/*/*"))]
