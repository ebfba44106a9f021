"""Random embeddings of people with four images each, and their calibration."""

from functools import cache
from pathlib import Path

import numpy as np

from app.domain import Population
from app.packs import manifest
from app.scoring.calibration import Calibration, PopulationTable
from app.tools.evaluation.calibrate import calibrate, genuine_points, impostor_points
from app.tools.evaluation.gallery import Gallery
from app.tools.evaluation.measure import Measurement, all_pairs
from app.tools.evaluation.pairs import LabelledFaces, PairCounts
from tests.support.embeddings import without_degradation

SHA256 = "ab" * 32
PACK = manifest.load(Path(__file__).resolve().parents[3] / "models/open/pack.toml")


def random_faces(people: int) -> LabelledFaces:
    rng = np.random.default_rng(3)
    rows = np.repeat(rng.normal(size=(people, 24)), 4, axis=0) + 0.45 * rng.normal(size=(4 * people, 24))
    names = [f"<{i // 4}>" for i in range(4 * people)]
    return LabelledFaces(without_degradation(rows), names, [f"{name}/{i}.jpg" for i, name in enumerate(names)])


@cache
def grouped_measurement() -> Measurement:
    """Return people of two groups: those of ``alike`` share a direction, so their impostor pairs are more similar."""
    faces = random_faces(300)
    is_alike = np.arange(len(faces.people)) < len(faces.people) // 2
    rows = without_degradation(faces.embeddings[:, :-1] + 0.4 * is_alike[:, None] * np.eye(24)[0])
    gallery = Gallery(rows, tuple(map(Path, faces.names)), tuple(faces.people), {})
    groups = {"alike": gallery.select(is_alike), "varied": gallery.select(~is_alike)}
    return all_pairs(gallery)._replace(groups={name: all_pairs(group) for name, group in groups.items()})


@cache
def grouped_calibration() -> Calibration:
    """Return the calibration of :func:`grouped_measurement`."""
    return calibrate(grouped_measurement(), PACK, "random")


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
    return Calibration("random", SHA256, "2026-11-22", is_provisional=False, populations={Population.GENERAL: table})
