"""Write ``models/{omz,open}/calibration.toml``: ``general`` on LFW, ``matched`` within the groups of ``lfw_groups``.

The functions are those of ``compareface calibrate``. The shipped table ``general`` is kept, so that scores do not
change; ``--general`` measures it again. ``--out FOLDER`` writes ``FOLDER/PACK.toml`` instead.
"""

import argparse
import dataclasses
import datetime
from pathlib import Path

from app.domain import Population
from app.environment import Settings, load_settings
from app.packs.manifest import Pack
from app.packs.store import Store
from app.scoring import calibration
from app.scoring.calibration import Calibration
from app.tools.evaluation.calibrate import calibrate, check_scales, matched_table
from app.tools.evaluation.calibration_file import render
from benchmarks import lfw_groups

PACKS = ("omz", "open")
_MODELS = Path(__file__).resolve().parents[1] / "models"
_GENERAL = "LFW deep-funneled, development half (2,806 people)"
_MATCHED = "women of LFW, men of LFW, and 55 people of similar age in one studio (AMFD); the strictest group decides"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--general", action="store_true")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if not lfw_groups.is_available():
        print("calibrate_packs: skipped, ../shared/data/amfd does not exist")
        return
    settings = load_settings()
    store = Store.from_settings(settings.models)
    for name in PACKS:
        path = args.out / f"{name}.toml" if args.out else _MODELS / name / "calibration.toml"
        table = measured_calibration(settings, store, store.pack(name), with_general=args.general)
        path.write_text(render(table), encoding="utf-8")
        print(path)


def measured_calibration(settings: Settings, store: Store, pack: Pack, *, with_general: bool) -> Calibration:
    """Return the calibration of ``pack``; ``with_general``: also measure ``general`` again."""
    measured = lfw_groups.measurement(lfw_groups.embed(settings, store, pack))
    if with_general:
        return calibrate(measured, pack, _GENERAL, _MATCHED)
    shipped = calibration.load(_MODELS / pack.name / "calibration.toml", pack.embedder_sha256)
    general = shipped.table(Population.GENERAL)
    matched = matched_table(general.genuine, measured, _MATCHED)
    check_scales(matched)
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    populations = {Population.GENERAL: general, Population.MATCHED: matched}
    return dataclasses.replace(shipped, date=date, populations=populations)


if __name__ == "__main__":
    main()
