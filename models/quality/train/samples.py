"""Make training samples: a face with random objects in front of it, and the visible share of each cell."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Crop
from app.vision.quality.crop import FACE_OUTLINE, MAP_SIDE, REGIONS, SIDE, cell_shares, to_cells
from app.vision.quality.visibility import INPUT_SIDE
from models.quality.train.degrade import jpeg, motion_kernel, relight
from models.quality.train.faces import Faces
from models.quality.train.layers import Layer, Rng, Scene
from models.quality.train.occluders import HARMLESS, OCCLUDERS, Maker, Makers

_COVERED, _TWICE, _HARMLESS = 0.6, 0.15, 0.4
"""Shares of samples with an occluder, of those with a second one, and of samples with a harmless object."""
_CELL_WEIGHTS = (
    0.2
    + 0.8 * cell_shares([FACE_OUTLINE])
    + 2.0 * np.maximum.reduce([cell_shares(polygons) for polygons in REGIONS.values()])
).astype(np.float32)
"""Weight of a cell in the loss; cells of the regions weigh most."""


class Sample(NamedTuple):
    """``image``: 3 x 112 x 112, uint8, BGR. ``visible``: 56 x 56, 0-1. ``weight``: 56 x 56, 0 outside the image."""

    image: NDArray[np.uint8]
    visible: NDArray[np.float32]
    weight: NDArray[np.float32]


class Samples:
    """A sequence of ``count`` samples; each depends only on ``seed`` and its index."""

    def __init__(self, faces: Faces, seed: int, count: int) -> None:
        self._faces = faces
        self._seed = seed
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng((self._seed, index))
        crops, inside = self._faces.crops, self._faces.inside
        row = int(rng.integers(len(crops)))
        matrix = _jitter(rng)
        face = _warp(crops[row], matrix)
        is_inside = _warp(inside[row].astype(np.uint8) * 255, matrix) > 127
        if rng.random() < 0.5:
            face, is_inside = np.ascontiguousarray(face[:, ::-1]), is_inside[:, ::-1]
        scene = Scene(face, crops[int(rng.integers(len(crops)))], rng)
        covered, visible = cover(scene)
        if rng.random() < 0.12:
            is_inside = is_inside & _cut_off(rng)
        image = photograph(covered, is_inside, rng)
        visible_cells = cv2.resize(visible, (MAP_SIDE, MAP_SIDE), interpolation=cv2.INTER_AREA)
        return Sample(
            np.ascontiguousarray(image.transpose(2, 0, 1)),
            visible_cells.astype(np.float32),
            (_CELL_WEIGHTS * (to_cells(is_inside) > 0.99)).astype(np.float32),
        )


def cover(scene: Scene) -> tuple[Crop, NDArray[np.float32]]:
    """Return the face with random objects in front of it, and 1 for visible pixels, 0 for covered ones."""
    rng = scene.rng
    image, visible = scene.face.astype(np.float32), np.ones((SIDE, SIDE), np.float32)
    if rng.random() < _HARMLESS:
        image = _blended(image, _random_maker(HARMLESS, rng)(scene), rng)
    if rng.random() < _COVERED:
        for _ in range(1 + (rng.random() < _TWICE)):
            layer = _random_maker(OCCLUDERS, rng)(scene)
            image = _blended(image, layer, rng)
            visible[layer.alpha > 0.5] = 0
    return np.clip(image, 0, 255).astype(np.uint8), visible


def photograph(image: Crop, is_inside: NDArray[np.bool_], rng: Rng) -> Crop:
    """Return the network's input: ``image`` with random blur, light, noise and compression, 112 x 112."""
    if rng.random() < 0.5:
        side = int(SIDE * np.exp(rng.uniform(np.log(0.2), 0)))
        image = np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
        image = np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)
    if rng.random() < 0.25:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 4)), np.uint8)
    elif rng.random() < 0.15:
        image = np.asarray(cv2.filter2D(image, -1, motion_kernel(rng.uniform(2, 14), rng.uniform(0, np.pi))), np.uint8)
    image[~is_inside] = 0
    small = np.asarray(cv2.resize(image, (INPUT_SIDE, INPUT_SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    if rng.random() < 0.4:
        small = np.clip(small * rng.uniform(0.8, 1.2, 3), 0, 255).astype(np.uint8)
    if rng.random() < 0.12:
        small = np.repeat(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)[..., None], 3, axis=2)
    if rng.random() < 0.6:
        small = relight(small, rng)
    return jpeg(small, int(rng.uniform(20, 96)) if rng.random() < 0.4 else 0)


def _blended(image: NDArray[np.float32], layer: Layer, rng: Rng) -> NDArray[np.float32]:
    """Return ``image`` with ``layer`` blended over it, sometimes with the shadow of the layer."""
    alpha = cv2.GaussianBlur(layer.alpha, (0, 0), rng.uniform(0.4, 1.6))[..., None]
    if rng.random() < 0.3:
        shadow = cv2.GaussianBlur(np.roll(layer.alpha, tuple(rng.integers(-6, 7, 2)), (0, 1)), (0, 0), 5)
        image = image * (1 - rng.uniform(0, 0.5) * shadow[..., None])
    return np.asarray(image * (1 - alpha) + layer.colour * alpha, np.float32)


def _random_maker(makers: Makers, rng: Rng) -> Maker:
    shares = np.array([share for _, share in makers])
    return makers[rng.choice(len(makers), p=shares / shares.sum())][0]


def _jitter(rng: Rng) -> NDArray[np.float64]:
    """Return a small random similarity transform, as if the landmarks were slightly wrong."""
    matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), rng.normal(0, 5), np.exp(rng.normal(0, 0.06)))
    return np.asarray(matrix + np.pad(rng.normal(0, 4, (2, 1)), ((0, 0), (2, 0))), np.float64)


def _warp(image: NDArray[np.uint8], matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.asarray(cv2.warpAffine(image, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR), np.uint8)


def _cut_off(rng: Rng) -> NDArray[np.bool_]:
    """Return the pixels inside an image whose edge crosses the face."""
    inside = np.full((SIDE, SIDE), 255, np.uint8)
    np.rot90(inside, int(rng.integers(4)))[: int(rng.integers(5, SIDE // 2))] = 0
    matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), rng.normal(0, 8), 1)
    return _warp(inside, np.asarray(matrix, np.float64)) > 127
