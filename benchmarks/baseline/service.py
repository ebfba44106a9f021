"""The baseline: insightface's ``FaceAnalysis`` behind FastAPI with default settings, as tutorials show it.

``INSIGHTFACE_ROOT`` is a folder with ``models/standin/*.onnx``.
"""

import base64
import os

import cv2
import numpy as np
from fastapi import FastAPI, HTTPException
from insightface.app import FaceAnalysis
from numpy.typing import NDArray
from pydantic import BaseModel

faces = FaceAnalysis(
    name="standin",
    root=os.environ["INSIGHTFACE_ROOT"],
    allowed_modules=["detection", "recognition"],
    providers=["CPUExecutionProvider"],
)
faces.prepare(ctx_id=-1, det_size=(640, 640))
app = FastAPI()


class Pair(BaseModel):
    """Base64 of two images."""

    ImageA: str
    ImageB: str


@app.post("/")
def compare(pair: Pair) -> dict[str, float]:
    return {"cosine": float(embed(pair.ImageA) @ embed(pair.ImageB))}


def embed(text: str) -> NDArray[np.float32]:
    image = cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR)
    detected = faces.get(image)
    if not detected:
        raise HTTPException(400, "no face")
    largest = max(detected, key=lambda face: (face.bbox[2] - face.bbox[0]) * (face.bbox[3] - face.bbox[1]))
    return np.asarray(largest.normed_embedding, np.float32)
