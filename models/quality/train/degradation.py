"""Fit the degradation model of a pack (``app.vision.degradation``) and write ``degradation.npz`` beside the pack.

``python -m models.quality.train.degradation PACK`` takes about ten minutes on two cores and uses half of the people of
LFW in ``../shared/data``. Photos are degraded in every way of ``LEARNED``. The target of a degraded image follows from
its similarity to images of other people that are degraded alike; the target of a good image is 0. A last step shifts
the estimate, so that good images of the other people keep their scores.
"""

import argparse
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import FaceModelVersion, Population
from app.environment import load_settings
from app.packs.store import Store, shipped_catalogue
from app.scoring import calibration
from app.scoring.scale import Scale
from app.vision.degradation import DegradationModel
from models.quality.train.degradations import HARMLESS, LEARNED
from models.quality.train.degraded import DegradedPhotos, Photo
from models.quality.train.faces import detect_faces, is_held_out

_PHOTOS, _SEED = 600, 0
_HIDDEN, _EPOCHS, _BATCH, _RATE, _DECAY, _JITTER = 32, 25, 512, 2e-3, 1e-3, 0.1
_GOOD_WEIGHT = 4.0
"""Weight of a good image in the loss; that of a degraded image is 1."""
_UNDERESTIMATED = 2.0
"""Factor of the error of an estimate that is too small, which accepts impostors."""
_NEIGHBOURS, _GOOD = 0.98, 0.97
"""Quantiles: the level of an image is the cosine that 2 % of its impostors reach, and 3 % of good images exceed the
level that is still good."""
_FACTOR = 1.5
"""The estimate is enlarged, because unknown degradations are underestimated."""
_MAX_CHANGE = 0.18
"""Mean change of the scores of genuine pairs of LFW that the model may cause, in points."""

Vectors = NDArray[np.float32]


class Samples(NamedTuple):
    """``vectors`` (N x D) with their ``targets`` (N) and the ``weights`` of the loss (N)."""

    vectors: Vectors
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack")
    cv2.setNumThreads(1)
    store = Store.from_settings(load_settings().models)
    pack = store.pack(parser.parse_args().pack)
    faces = list(detect_faces("lfw"))
    path = shipped_catalogue() / pack.name / "degradation.npz"
    path.unlink(missing_ok=True)  # it may belong to another embedder
    photos, others = ([Photo.of(face) for face in faces if is_held_out(face.name) is other] for other in (False, True))
    good_vectors = DegradedPhotos(store, pack, photos).embeddings(HARMLESS["none"])[:, :-1]
    good_others = DegradedPhotos(store, pack, others)
    table = calibration.load(path.with_name("calibration.toml"), pack.embedder_sha256)
    samples = _join(_samples(DegradedPhotos(store, pack, photos[:: len(photos) // _PHOTOS]), good_vectors))
    scale = Scale(table.table(Population.GENERAL), FaceModelVersion.V3)
    model = _shifted(_fit(samples), good_others.embeddings(HARMLESS["none"])[:, :-1], good_others.people, scale)
    np.savez(
        path,
        embedder_sha256=np.array(pack.embedder_sha256),
        hidden_weights=model.hidden_weights,
        hidden_bias=model.hidden_bias,
        weights=model.weights,
        bias=np.float32(model.bias),
    )
    print(f"{path}: fitted to {len(samples.vectors):,} images")


def _samples(photos: DegradedPhotos, good_vectors: Vectors) -> Iterator[Samples]:
    yield _labelled(good_vectors, np.zeros(len(good_vectors)), _GOOD_WEIGHT)
    good_levels = _levels(photos.embeddings(HARMLESS["none"])[:, :-1], photos.people)
    middle, highest = np.nanmedian(good_levels), np.nanquantile(good_levels, _GOOD)
    for name, kind in (HARMLESS | LEARNED).items():
        vectors = photos.embeddings(kind)[:, :-1]
        excess = _levels(vectors, photos.people) - (middle + highest) / 2
        targets = np.zeros(len(vectors)) if name in HARMLESS else np.sqrt(np.maximum(excess, 0))
        print(f"{name}: {np.isfinite(targets).sum()} faces, median target {np.nanmedian(targets):.2f}", flush=True)
        yield _labelled(vectors, targets, 1.0)


def _labelled(vectors: Vectors, targets: NDArray[np.floating], weight: float) -> Samples:
    kept = np.isfinite(vectors[:, 0]) & np.isfinite(targets)
    return Samples(vectors[kept], targets[kept].astype(np.float32), np.full(int(kept.sum()), weight, np.float32))


def _join(samples: Iterator[Samples]) -> Samples:
    return Samples(*(np.concatenate(parts) for parts in zip(*samples, strict=True)))


def _levels(vectors: Vectors, people: NDArray[np.str_]) -> NDArray[np.float64]:
    """Return for each image the cosine that 2 % of the images of other people reach; NaN if there are fewer than 30."""
    found = np.isfinite(vectors[:, 0])
    levels = np.full(len(vectors), np.nan)
    if found.sum() < 30:
        return levels
    cosines = vectors[found] @ vectors[found].T
    cosines[people[found, None] == people[None, found]] = np.nan
    levels[found] = np.nanquantile(cosines, _NEIGHBOURS, axis=1)
    return levels


def _fit(samples: Samples) -> DegradationModel:
    """Return the network that minimises the weighted squared error, fitted by Adam (Kingma and Ba, 2015)."""
    rng = np.random.default_rng(_SEED)
    mean, deviation = samples.vectors.mean(axis=0), samples.vectors.std(axis=0) + np.float32(1e-6)
    inputs = (samples.vectors - mean) / deviation
    dimension = inputs.shape[1]
    parameters = [
        (rng.normal(size=(dimension, _HIDDEN)) / np.sqrt(dimension)).astype(np.float32),
        np.zeros(_HIDDEN, np.float32),
        (rng.normal(size=_HIDDEN) / np.sqrt(_HIDDEN)).astype(np.float32),
        np.zeros(1, np.float32),
    ]
    first, second, step = [0.0 * value for value in parameters], [0.0 * value for value in parameters], 0
    for epoch in range(_EPOCHS):
        rate = _RATE * (0.5 * (1 + np.cos(np.pi * epoch / _EPOCHS)) + 0.01)
        order = rng.permutation(len(inputs))
        for start in range(0, len(order), _BATCH):
            rows, step = order[start : start + _BATCH], step + 1
            batch = inputs[rows] + rng.normal(0, _JITTER, (len(rows), dimension)).astype(np.float32)
            gradients = _gradients(parameters, batch, samples.targets[rows], samples.weights[rows])
            for index, gradient in enumerate(gradients):
                first[index] = 0.9 * first[index] + 0.1 * gradient
                second[index] = 0.999 * second[index] + 0.001 * gradient**2
                ratio = first[index] / (1 - 0.9**step) / (np.sqrt(second[index] / (1 - 0.999**step)) + 1e-8)
                parameters[index] = (parameters[index] - rate * ratio).astype(np.float32)
    hidden_weights = parameters[0] / deviation[:, None]
    return DegradationModel(
        hidden_weights, parameters[1] - mean @ hidden_weights, parameters[2], float(parameters[3][0])
    )


def _gradients(
    parameters: list[NDArray[np.float32]], batch: Vectors, targets: NDArray[np.float32], weights: NDArray[np.float32]
) -> list[NDArray[np.float32]]:
    hidden_weights, hidden_bias, output_weights, output_bias = parameters
    hidden = np.maximum(batch @ hidden_weights + hidden_bias, 0)
    error = hidden @ output_weights + output_bias - targets
    error = np.where((targets == 0) & (error < 0), 0, np.where(error < 0, _UNDERESTIMATED * error, error))
    error *= 2 * weights / len(batch)
    behind = error[:, None] * output_weights * (hidden > 0)
    return [
        batch.T @ behind + np.float32(_DECAY) * hidden_weights,
        behind.sum(axis=0),
        hidden.T @ error + np.float32(_DECAY) * output_weights,
        error.sum(keepdims=True),
    ]


def _shifted(model: DegradationModel, vectors: Vectors, people: NDArray[np.str_], scale: Scale) -> DegradationModel:
    """Return ``model`` enlarged by ``_FACTOR`` and shifted as little as ``_MAX_CHANGE`` requires."""
    first, second = np.nonzero(np.triu(people[:, None] == people[None], 1))
    cosines = np.einsum("ij,ij->i", vectors[first], vectors[second])
    before = np.array([scale.score(cosine) for cosine in cosines])
    estimates = _FACTOR * model.estimate(vectors)
    low, high = 0.0, float(np.nanmax(estimates))
    for _ in range(20):
        shift = (low + high) / 2
        shifted = np.maximum(estimates - shift, 0)
        after = np.array([scale.score(cosine) for cosine in cosines - shifted[first] * shifted[second]])
        low, high = (low, shift) if np.nanmean(np.abs(after - before)) <= _MAX_CHANGE else (shift, high)
    print(f"shifted by {high:.3f}; {np.mean(estimates > high):.1%} of the good images have a degradation")
    return DegradationModel(
        model.hidden_weights, model.hidden_bias, np.float32(_FACTOR) * model.weights, _FACTOR * model.bias - high
    )


if __name__ == "__main__":
    main()
