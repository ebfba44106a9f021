"""Random embeddings of people with four images each, and their calibration."""

import numpy as np

from app.domain import Population
from app.scoring.calibration import Calibration, PopulationTable
from app.tools.evaluation.calibrate import genuine_points, impostor_points
from app.tools.evaluation.pairs import LabelledFaces, PairCounts

SHA256 = "ab" * 32


def random_faces(people: int) -> LabelledFaces:
    rng = np.random.default_rng(3)
    rows = np.repeat(rng.normal(size=(people, 24)), 4, axis=0) + 0.45 * rng.normal(size=(4 * people, 24))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    names = [f"<{i // 4}>" for i in range(4 * people)]
    return LabelledFaces(rows, names, [f"{name}/{i}.jpg" for i, name in enumerate(names)])


def calibration_of(counts: PairCounts, faces: LabelledFaces, data: str = "random") -> Calibration:
    table = PopulationTable(
        data=data,
        people=len(set(faces.people)),
        images=len(faces.people),
        not_found=7,
        impostor_pairs=counts.impostor_pairs,
        genuine_pairs=counts.genuine_pairs,
        impostor=impostor_points(counts),
        genuine=genuine_points(counts),
    )
    return Calibration("random", SHA256, "2026-11-22", "measured", {Population.GENERAL: table})
