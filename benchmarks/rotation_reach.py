"""What rolls a detector stands: alone, and with ``detect_full`` around it. ``python -m benchmarks.rotation`` asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from app.domain import Face, Image
from app.packs.convert import onnx_graph
from app.packs.manifest import DetectorSpec, Pack
from app.packs.store import Store
from app.runtime.session import OrtSession
from app.vision.detect import DETECTORS
from app.vision.detect.base import Detector
from app.vision.search import ConfidenceThresholds, detect_full
from tests.support.rotation import NEAR, SHARED, error, turned


def detectors(store: Store, pack: Pack) -> dict[str, tuple[Detector, DetectorSpec]]:
    """The pack's detector, and those whose published files are in ``../shared/models``, with how they are asked."""
    opened = {pack.name: _open(store, pack, store.resolve(pack)[pack.detector.file].read_bytes())}
    others = {"opencv": "yunet/face_detection_yunet_2023mar.onnx", "buffalo_m": "insightface/det_2.5g.onnx"}
    for name, file in others.items():
        if name != pack.name and (SHARED / "models" / file).is_file():
            content = (SHARED / "models" / file).read_bytes()
            opened[name] = _open(store, store.pack(name), onnx_graph.clean(content) if name == "opencv" else content)
    return opened


def _open(store: Store, pack: Pack, content: bytes) -> tuple[Detector, DetectorSpec]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / pack.detector.file
        path.write_bytes(content)
        return DETECTORS[pack.detector.family](OrtSession.open(path, "cpu", 1), pack.detector), pack.detector


def reach(detector: Detector, spec: DetectorSpec, pictures: Sequence[Image]) -> dict[str, dict[str, Any]]:
    """What the detector itself finds at each roll, and what ``detect_full`` makes of it without and with the flag."""
    asked: dict[str, Callable[[Image], list[Face]]] = {
        "alone": detector.detect,
        "plain": lambda image: detect_full(detector, image, ConfidenceThresholds.of(spec), rotate=False),
        "flag": lambda image: detect_full(detector, image, ConfidenceThresholds.of(spec), rotate=True),
    }
    rows: dict[str, dict[str, Any]] = {}
    for degrees in range(0, 181, 15):
        row: dict[str, float | None] = {}
        rows[str(degrees)] = row
        for who, ask in asked.items():
            finds = [max(each, key=lambda find: find[1]) for each in _finds(detector, ask, pictures, degrees) if each]
            row[f"found_{who}"] = round(len(finds) / len(pictures), 3)
            row[f"clear_{who}"] = round(
                sum(confidence >= spec.selection_confidence for _, confidence in finds) / len(pictures), 3
            )
            row[f"right_{who}"] = round(sum(off <= NEAR for off, _ in finds) / len(pictures), 3)
            row[f"landmarks_{who}"] = round(median(off for off, _ in finds), 3) if finds else None
    return rows


def _finds(
    detector: Detector, ask: Callable[[Image], list[Face]], pictures: Sequence[Image], degrees: float
) -> Iterator[list[tuple[float, float]]]:
    """Yield (error of the landmarks, confidence) of what is found where the middle face of each picture is."""
    for upright in pictures:
        middle = np.array([upright.shape[1], upright.shape[0]]) / 2
        known = min(detector.detect(upright), key=lambda face: float(np.hypot(*(face.landmarks[2] - middle))))
        image, expected = turned(upright, known.landmarks, degrees)
        reached = float(np.hypot(*(expected[1] - expected[0])))
        yield [
            (error(face.landmarks, expected), face.confidence)
            for face in ask(image)
            if np.hypot(*(face.landmarks.mean(axis=0) - expected.mean(axis=0))) < reached
        ]
