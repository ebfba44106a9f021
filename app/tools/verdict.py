"""What a score means: whether it reaches each documented threshold, and FAR and TAR there."""

import math
from typing import NamedTuple

import numpy as np

from app.domain import Comparison, FaceModelVersion
from app.packs.store import Store
from app.scoring import calibration
from app.scoring.calibration import PopulationTable, Status
from app.scoring.scale import SCORE_THRESHOLDS
from app.settings import ModelsSettings
from app.tools.evaluation.percent import percent

_NAMES = ("lenient", "usual", "strict")


class Verdict(NamedTuple):
    """Whether a score reaches ``threshold``. FAR and TAR are fractions; TAR is interpolated."""

    name: str
    threshold: float
    is_same_person: bool
    far_fraction: float
    tar_fraction: float
    is_extrapolated: bool

    def __str__(self) -> str:
        person = "same person" if self.is_same_person else "not the same person"
        far = percent(self.far_fraction) + (", extrapolated" if self.is_extrapolated else "")
        label = f"threshold {self.threshold:g} ({self.name})"
        return f"{label:<22}  {person:<19}  FAR {far}, TAR about {percent(self.tar_fraction)}"


class Verdicts(NamedTuple):
    """The verdicts from lenient to strict, the data and the status of their rates, and the pack.

    ``unfit``: why the pack does not suit decisions about people, or "".
    """

    verdicts: tuple[Verdict, ...]
    data: str
    status: Status
    pack: str
    unfit: str


def verdicts_on(comparison: Comparison, settings: ModelsSettings) -> Verdicts:
    """Return the verdicts with the calibration of the pack that compared."""
    store, pack = Store.with_selected_pack(settings)
    if comparison.face_model_version is FaceModelVersion.V2 and settings.pack_2_0:
        pack = store.pack(settings.pack_2_0)
    measured = calibration.load(store.calibration_path(pack.name), pack.embedder_sha256)
    table = measured.table(comparison.population)
    points = {point.far: point for point in table.impostor}
    verdicts = []
    for name, (threshold, far) in zip(_NAMES, SCORE_THRESHOLDS[comparison.face_model_version].items(), strict=True):
        tar, is_same = round(_tar(table, points[far].cosine), 2), comparison.score >= threshold
        verdicts.append(Verdict(name, threshold, is_same, far, tar, points[far].is_extrapolated))
    return Verdicts(tuple(verdicts), table.data, measured.status(comparison.population), pack.name, pack.unfit or "")


def _tar(table: PopulationTable, cosine: float) -> float:
    """Return the TAR at ``cosine``, interpolated in log-odds (within 0.2 points of the counted TAR of ``omz``)."""
    tars, cosines = np.array(table.genuine).T
    return 1 / (1 + math.exp(-float(np.interp(cosine, cosines, np.log(tars / (1 - tars))))))
