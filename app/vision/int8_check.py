"""Which file of an embedder runs: that in 8-bit integers where it gives on this machine what it gives elsewhere.

A processor, or a build of onnxruntime, that calculates otherwise would move every score. So a drawn face is embedded by
both; drawn, because no other is installed with the program. (Weights of 8 bits instead of 7, whose sums end at 16 bits
on an emulated Haswell, gave a cosine of .995; ours gives .9995 there and here.)
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import cv2
import numpy as np

from app.domain import Crop
from app.packs.manifest import EmbedderSpec
from app.runtime.session import Session
from app.settings import RuntimeSettings
from app.vision.embed import Embedder

_log = logging.getLogger(__name__)

MIN_COSINE = 0.998
"""Between the embeddings of two networks of which one may stand for the other."""

_SIDE = 150  # pixels of the drawing
_BACKGROUND, _SKIN, _SHADE, _WHITE, _DARK, _LIPS = (  # BGR
    *((90, 130, 180), (120, 160, 215), (80, 110, 170)),
    *((240, 240, 240), (40, 30, 20), (70, 70, 180)),
)
_BLUR = 2.0  # pixels: the sigma of a Gaussian


def select_embedder_file(
    spec: EmbedderSpec, runtime: RuntimeSettings, open_file: Callable[[str], Session]
) -> tuple[str, Session]:
    """Return the name of the file that runs, opened by ``open_file``."""
    file = spec.file_for(runtime)
    session = open_file(file)
    if file == spec.file:
        return file, session
    reference = open_file(spec.file)
    similarity = int8_agreement(Embedder(session, spec), Embedder(reference, spec), spec.input_size)
    if similarity >= MIN_COSINE:
        return file, session
    _log.warning("%s is not used: cosine %.4f with %s, which runs instead", file, similarity, spec.file)
    return spec.file, reference


def int8_agreement(one: Embedder, other: Embedder, side: int) -> float:
    """Return the cosine similarity of the two embeddings of a drawn face of ``side`` x ``side`` pixels."""
    crop = synthetic_face(side)
    return float(one.embed(crop) @ other.embed(crop))


def synthetic_face(side: int) -> Crop:
    """Return a face that fills ``side`` x ``side`` pixels."""
    face = np.full((_SIDE, _SIDE, 3), _BACKGROUND, dtype=np.uint8)
    cv2.ellipse(face, (75, 80), (55, 75), 0, 0, 360, _SKIN, cv2.FILLED)
    for x in (50, 102):
        cv2.line(face, (x - 14, 34), (x + 14, 34), _DARK, 4)
        cv2.ellipse(face, (x, 48), (12, 6), 0, 0, 360, _WHITE, cv2.FILLED)
        cv2.circle(face, (x, 48), 5, _DARK, cv2.FILLED)
    cv2.line(face, (76, 55), (70, 85), _SHADE, 3)
    cv2.ellipse(face, (76, 108), (22, 8), 0, 0, 360, _LIPS, cv2.FILLED)
    soft = cv2.GaussianBlur(face, (0, 0), _BLUR)
    return np.asarray(cv2.resize(soft, (side, side)), dtype=np.uint8)
