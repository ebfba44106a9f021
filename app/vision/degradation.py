"""Estimate from an embedding how degraded the image of the face is.

Embeddings of degraded faces (blurred, noisy, negative, covered by lines or a watermark) are alike, also for different
people. Two degraded images are therefore more similar than two good ones. ``app.scoring.similarity`` subtracts the
product of both degradations from their cosine, so a pair loses similarity only if both images are degraded.

The estimate is a network with one hidden layer. ``models.quality.train.degradation`` fits it, per embedder, to degraded
images of people of LFW, and writes ``degradation.npz`` beside the pack.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from app.packs.manifest import Pack, PackError


@dataclass(frozen=True, slots=True, eq=False)
class DegradationModel:
    """``hidden_weights`` is D x H, ``hidden_bias`` and ``weights`` are H; all float32."""

    hidden_weights: NDArray[np.float32]
    hidden_bias: NDArray[np.float32]
    weights: NDArray[np.float32]
    bias: float

    @classmethod
    def load(cls, path: Path, pack: Pack) -> Self:
        """Read the model of ``pack``; raise ``PackError`` if it is malformed or was fitted to another embedder."""
        dimension = pack.embedder.dimension
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                is_same_embedder = str(file["embedder_sha256"]) == pack.embedder_sha256
                hidden_weights, hidden_bias, weights, bias = (
                    file[name].astype(np.float32) for name in ("hidden_weights", "hidden_bias", "weights", "bias")
                )
        except (OSError, EOFError, BadZipFile, ValueError, KeyError) as error:
            raise PackError(f"{path} cannot be read; reinstall the program") from error
        if not is_same_embedder:
            raise PackError(f"{path} was fitted to another embedder file; reinstall the program")
        if not (
            hidden_weights.shape == (dimension, weights.size) and hidden_bias.shape == weights.shape and not bias.ndim
        ):
            raise PackError(f"{path} does not fit embeddings of {dimension} values; reinstall the program")
        return cls(hidden_weights, hidden_bias, weights, float(bias))

    def estimate(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the degradation of each of ``vectors`` (... x D, unit length): 0 for a good image, about 1 at most."""
        hidden = np.maximum(vectors @ self.hidden_weights + self.hidden_bias, 0)
        return np.asarray(np.maximum(hidden @ self.weights + self.bias, 0), np.float32)
