"""Write provisional calibrations for packs without weights here: ``python -m benchmarks.provisional TABLE``.

TABLE, ``results/calibration-mobilefacenet.toml``, was measured with another ArcFace embedder. Its cosines at each FAR
are stretched to meet the one threshold that is published for the embedder. The result has ``status = "provisional"``,
which the service reports at every start until ``compareface calibrate --install`` replaces it.
"""

import argparse
import dataclasses
import tomllib
from pathlib import Path
from typing import NamedTuple

from app.domain import Population
from app.packs import manifest
from app.scoring import calibration
from app.scoring.calibration import Calibration, OperatingPoint
from app.tools.evaluation.calibration_file import render

_MODELS = Path(__file__).resolve().parents[1] / "models"


class Anchor(NamedTuple):
    """A published threshold."""

    far: float
    cosine: float
    source: str


_R50 = Anchor(1e-6, 0.4078, "insightface: w600k_r50 reaches FAR 1e-6 on MR-ALL at .4078")
_MBF = Anchor(1e-4, 0.3435, "w600k_mbf reaches FAR 1e-4 on BFW at .3435")
ANCHORS = {
    "buffalo_l": _R50,
    "buffalo_m": _R50,
    "buffalo_s": _MBF,
    "buffalo_sc": _MBF,
    "antelopev2": _R50._replace(source="w600k_r50's .4078 at FAR 1e-6, since nothing is published for glintr100"),
    "auraface": _R50._replace(source="w600k_r50's .4078 at FAR 1e-6, since nothing is published for AuraFace"),
    "opencv": Anchor(1e-3, 0.363, "OpenCV's threshold for SFace, .363; its FAR is not said, 1e-3 assumed"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    table = parser.parse_args().table
    digest = tomllib.loads(table.read_text(encoding="utf-8"))["about"]["embedder_sha256"]
    shape = calibration.load(table, digest)
    for name, anchor in ANCHORS.items():
        pack = manifest.load(_MODELS / name / "pack.toml")
        stretched = provisional(shape, anchor, pack.name, pack.embedder_sha256)
        (_MODELS / name / "calibration.toml").write_text(render(stretched), encoding="utf-8")


def provisional(shape: Calibration, anchor: Anchor, pack: str, embedder_sha256: str) -> Calibration:
    """Return ``shape`` with impostor cosines stretched to meet ``anchor``; genuine cosines are unchanged."""
    measured = shape.table(Population.GENERAL)
    stretch = anchor.cosine / measured.cosine_at_far(anchor.far)
    impostor = tuple(OperatingPoint(far, round(cosine * stretch, 6), True) for far, cosine, *_ in measured.impostor)
    table = dataclasses.replace(
        measured,
        data=f"not measured: a MobileFaceNet's curve on LFW, stretched ({anchor.source})",
        people=0,
        images=0,
        not_found=0,
        impostor_pairs=0,
        genuine_pairs=0,
        impostor=impostor,
    )
    return Calibration(pack, embedder_sha256, shape.date, is_provisional=True, populations={Population.GENERAL: table})


if __name__ == "__main__":
    main()
