"""Select the file of an embedder: int8 if it agrees with the float32 model on this machine, else float32.

A CPU or an onnxruntime build with different int8 arithmetic would change every score. Both models therefore embed a
drawn face; no photo of a face is installed with the program.
"""

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

_SIDE = 150  # pixels of the drawing
_BACKGROUND, _SKIN, _SHADE = (90, 130, 180), (120, 160, 215), (80, 110, 170)  # BGR
_WHITE, _DARK, _LIPS = (240, 240, 240), (40, 30, 20), (70, 70, 180)


def select_embedder_file(
    spec: EmbedderSpec, runtime: RuntimeSettings, open_file: Callable[[str], Session]
) -> tuple[str, Session]:
    """Return the name of the selected file and its session, opened by ``open_file``."""
    file = spec.file_for(runtime)
    session = open_file(file)
    if file == spec.file:
        return file, session
    reference = open_file(spec.file)
    cosine = int8_agreement(Embedder(session, spec), Embedder(reference, spec), spec.input_size)
    if cosine >= spec.int8_min_cosine:
        return file, session
    fields = {"file": file, "cosine": round(cosine, 4), "replacement": spec.file}
    _log.warning("int8 model rejected", extra={"fields": fields})
    return spec.file, reference


def int8_agreement(int8: Embedder, reference: Embedder, side: int) -> float:
    """Return the cosine similarity of both embeddings of a synthetic face of ``side`` x ``side`` pixels."""
    crop = synthetic_face(side)
    # Without a degradation model the last value is 0, so the product is the cosine.
    return float(int8.embed(crop) @ reference.embed(crop))


def synthetic_face(side: int) -> Crop:
    """Return a drawn face that fills ``side`` x ``side`` pixels."""
    face = np.full((_SIDE, _SIDE, 3), _BACKGROUND, dtype=np.uint8)
    cv2.ellipse(face, (75, 80), (55, 75), 0, 0, 360, _SKIN, cv2.FILLED)
    for x in (50, 102):
        cv2.line(face, (x - 14, 34), (x + 14, 34), _DARK, 4)
        cv2.ellipse(face, (x, 48), (12, 6), 0, 0, 360, _WHITE, cv2.FILLED)
        cv2.circle(face, (x, 48), 5, _DARK, cv2.FILLED)
    cv2.line(face, (76, 55), (70, 85), _SHADE, 3)
    cv2.ellipse(face, (76, 108), (22, 8), 0, 0, 360, _LIPS, cv2.FILLED)
    return np.asarray(cv2.resize(cv2.GaussianBlur(face, (0, 0), 2.0), (side, side)), dtype=np.uint8)
