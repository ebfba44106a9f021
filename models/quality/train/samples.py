"""Faces and things to cover them with -> what the network learns from: a picture, and which parts of it are visible."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Crop
from app.vision.quality.crop import SIDE
from app.vision.quality.regions import FACE, MAP_SIDE, POLYGONS, weights
from app.vision.quality.visibility import INPUT_SIDE
from models.quality.train.degrade import jpeg, lit, motion
from models.quality.train.faces import Faces
from models.quality.train.layers import Layer, Rng, Scene
from models.quality.train.occluders import HARMLESS, OCCLUDERS, Maker, Makers

_COVERED, _TWICE, _HARMLESS = 0.6, 0.15, 0.4
"""Shares of the samples that something covers, of these that something else covers too, and with harmless things."""
_IMPORTANCE = (
    0.2 + 0.8 * weights([FACE]) + 2.0 * np.maximum.reduce([weights(polygons) for polygons in POLYGONS.values()])
).astype(np.float32)
"""How much a cell counts: those of the regions most."""


class Sample(NamedTuple):
    """``image``: 3 x 112 x 112, uint8, BGR; ``visible``: 56 x 56, 0-1; ``weight``: 56 x 56, 0 where unknown."""

    image: NDArray[np.uint8]
    visible: NDArray[np.float32]
    weight: NDArray[np.float32]


class Samples:
    """An endless list of samples; each is made anew from its number alone."""

    def __init__(self, faces: Faces, seed: int, count: int) -> None:
        self._faces = faces
        self._seed = seed
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> Sample:
        rng = np.random.default_rng((self._seed, number))
        crops, inside = self._faces.crops, self._faces.inside
        chosen = int(rng.integers(len(crops)))
        matrix = _jitter(rng)
        face = _moved(crops[chosen], matrix)
        known = _moved(inside[chosen].astype(np.uint8) * 255, matrix) > 127
        if rng.random() < 0.5:
            face, known = np.ascontiguousarray(face[:, ::-1]), known[:, ::-1]
        scene = Scene(face, crops[int(rng.integers(len(crops)))], rng)
        covered, visible = cover(scene)
        if rng.random() < 0.12:
            known = known & _framed(rng)
        image = shoot(covered, known, rng)
        cells = (MAP_SIDE, MAP_SIDE)
        shown = cv2.resize(visible, cells, interpolation=cv2.INTER_AREA)
        sure = cv2.resize(known.astype(np.float32), cells, interpolation=cv2.INTER_AREA)
        return Sample(
            np.ascontiguousarray(image.transpose(2, 0, 1)),
            shown.astype(np.float32),
            (_IMPORTANCE * (sure > 0.99)).astype(np.float32),
        )


def cover(scene: Scene) -> tuple[Crop, NDArray[np.float32]]:
    """Return the face with things before it, and the visible share of each pixel, 0 or 1."""
    rng = scene.rng
    image, visible = scene.face.astype(np.float32), np.ones((SIDE, SIDE), np.float32)
    if rng.random() < _HARMLESS:
        image = _laid_over(image, _chosen(HARMLESS, rng)(scene), rng)
    if rng.random() < _COVERED:
        for _ in range(1 + (rng.random() < _TWICE)):
            layer = _chosen(OCCLUDERS, rng)(scene)
            image = _laid_over(image, layer, rng)
            visible[layer.alpha > 0.5] = 0
    return np.clip(image, 0, 255).astype(np.uint8), visible


def shoot(image: Crop, known: NDArray[np.bool_], rng: Rng) -> Crop:
    """Return it as a camera and a file leave it, as the network gets it: blurred, in other light, compressed."""
    if rng.random() < 0.5:
        side = int(SIDE * np.exp(rng.uniform(np.log(0.2), 0)))
        image = np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
        image = np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)
    if rng.random() < 0.25:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 4)), np.uint8)
    elif rng.random() < 0.15:
        image = np.asarray(cv2.filter2D(image, -1, motion(rng.uniform(2, 14), rng.uniform(0, np.pi))), np.uint8)
    image[~known] = 0
    small = np.asarray(cv2.resize(image, (INPUT_SIDE, INPUT_SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    if rng.random() < 0.4:
        small = np.clip(small * rng.uniform(0.8, 1.2, 3), 0, 255).astype(np.uint8)
    if rng.random() < 0.12:
        small = np.repeat(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)[..., None], 3, axis=2)
    if rng.random() < 0.6:
        small = lit(small, rng)
    return jpeg(small, int(rng.uniform(20, 96)) if rng.random() < 0.4 else 0)


def _laid_over(image: NDArray[np.float32], layer: Layer, rng: Rng) -> NDArray[np.float32]:
    alpha = cv2.GaussianBlur(layer.alpha, (0, 0), rng.uniform(0.4, 1.6))[..., None]
    if rng.random() < 0.3:
        fall = cv2.GaussianBlur(np.roll(layer.alpha, tuple(rng.integers(-6, 7, 2)), (0, 1)), (0, 0), 5)
        image = image * (1 - rng.uniform(0, 0.5) * fall[..., None])
    return np.asarray(image * (1 - alpha) + layer.colour * alpha, np.float32)


def _chosen(makers: Makers, rng: Rng) -> Maker:
    shares = np.array([share for _, share in makers])
    return makers[rng.choice(len(makers), p=shares / shares.sum())][0]


def _jitter(rng: Rng) -> NDArray[np.float64]:
    """Return what landmarks off by a little make of a crop."""
    matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), rng.normal(0, 5), np.exp(rng.normal(0, 0.06)))
    return np.asarray(matrix + np.pad(rng.normal(0, 4, (2, 1)), ((0, 0), (2, 0))), np.float64)


def _moved(image: NDArray[np.uint8], matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.asarray(cv2.warpAffine(image, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR), np.uint8)


def _framed(rng: Rng) -> NDArray[np.bool_]:
    """Return what a picture has that ends across the face."""
    kept = np.full((SIDE, SIDE), 255, np.uint8)
    np.rot90(kept, int(rng.integers(4)))[: int(rng.integers(5, SIDE // 2))] = 0
    turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), rng.normal(0, 8), 1)
    return _moved(kept, np.asarray(turn, np.float64)) > 127
