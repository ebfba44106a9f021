"""FAR and TAR of the shipped calibrations by population, for random and for similar people.

Impostor pairs: all of LFW, and those within the groups of ``lfw_groups``. Genuine pairs: all of LFW. The calibration
was measured on these people. Therefore ``matched`` is also calibrated on one half of the people of each set and
measured on the other half, in both directions. ``--json FILE`` writes the numbers.
"""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np

from app.domain import FaceModelVersion, Population
from app.environment import Settings, load_settings
from app.packs.manifest import Pack
from app.packs.store import Store
from app.scoring import calibration
from app.scoring.calibration import PopulationTable
from app.scoring.scale import Scale
from app.tools.evaluation.calibrate import genuine_points, impostor_points, matched_table
from app.tools.evaluation.gallery import Gallery
from app.tools.evaluation.intervals import Rates, rates_over_all_pairs
from app.tools.evaluation.measure import Measurement
from app.tools.evaluation.pairs import count_pairs
from benchmarks import lfw_groups
from benchmarks.calibrate_packs import PACKS
from benchmarks.tables import write_json

_SCORES = (40, 50, 60)
_STATED = (1e-3, 1e-4, 1e-5)
"""The FARs of these scores."""
_ALL = "LFW, all"
_SPLITS = 20

_Row: TypeAlias = dict[str, object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not lfw_groups.is_available():
        print("populations: skipped, ../shared/data/amfd does not exist")
        return
    store = Store.from_settings(load_settings().models)
    write_json(args.json, {name: run(load_settings(), store, store.pack(name)) for name in PACKS})


def run(settings: Settings, store: Store, pack: Pack) -> dict[str, list[_Row]]:
    """Measure one pack, print its rates, return the numbers."""
    galleries = lfw_groups.embed(settings, store, pack)
    shipped = calibration.load(store.calibration_path(pack.name), pack.embedder_sha256)
    measured = lfw_groups.measurement(galleries)
    rows = [row for population in Population for row in _rows(measured, shipped.table(population), population)]
    halves = [lfw_groups.measurement(half) for half in lfw_groups.halves(galleries)]
    held_out = []
    for direction, (half, other) in {"first to second": halves, "second to first": halves[::-1]}.items():
        table = matched_table(genuine_points(half.counts), half, direction)
        held_out += [row | {"direction": direction} for row in _rows(other, table, Population.MATCHED)]
    for row in [*rows, *held_out]:
        print(pack.name, *row.values())
    return {"shipped": rows, "held_out": held_out, "studio_halves": [studio_halves(galleries.studio)]}


def studio_halves(studio: Gallery) -> _Row:
    """Return the mean FAR over random halves of the studio set, at the cosines of the other half.

    One half has about 1,400 impostor pairs, so its FAR at 40 counts at most a few of them.
    """
    fars = []
    for seed in range(_SPLITS):
        halves = lfw_groups.split(studio, seed)
        for half, other in (halves, halves[::-1]):
            points = impostor_points(count_pairs(half.embeddings, half.people))
            counts = count_pairs(other.embeddings, other.people)
            fars.append([counts.far(point.cosine) for point in points if point.far in _STATED])
    means = np.mean(fars, axis=0).tolist()
    print("mean FAR of the studio set:", means)
    return {"halves": len(fars), "mean_far": means}


def _rows(measured: Measurement, table: PopulationTable, population: Population) -> Iterator[_Row]:
    """Yield the rates of each group with the scores of ``table``."""
    scale = Scale(table, FaceModelVersion.V3)
    groups: Mapping[str, Measurement] = {_ALL: measured, **measured.groups}
    for title, group in groups.items():
        rates: list[Rates] = rates_over_all_pairs(group.faces, [scale.cosine(score) for score in _SCORES])
        yield {
            "group": title,
            "population": population.value,
            "people": group.people,
            "impostor_pairs": group.counts.impostor_pairs,
            "genuine_pairs": group.counts.genuine_pairs,
            "far": [rate.far for rate in rates],
            "tar": [rate.tar for rate in rates],
        }


if __name__ == "__main__":
    main()
