"""``make calibrate-demo``: calibrate on a few people, and look at the report.

The folder ``../shared/data/london`` shows 14 people twice: 14 genuine and 364 impostor pairs. So few pairs measure a
FAR of 10 % and no less; all else in the table is extrapolated, and the report says so.
"""

from __future__ import annotations

from pathlib import Path

from app.cli import main as compareface

_ROOT = Path(__file__).resolve().parents[1]
_FACES = _ROOT.parent / "shared/data/london"


def main() -> None:
    if not _FACES.is_dir():
        print("calibrate-demo: skipped, the folder ../shared/data/london is not here")
        return
    folder = _ROOT / "build/calibrate-demo"
    folder.mkdir(parents=True, exist_ok=True)
    table, report = folder / "calibration.toml", folder / "report.html"
    code = compareface(["calibrate", str(_FACES), "--pack", "open", "--out", str(table), "--report", str(report)])
    if code:
        raise SystemExit(code)
    print("The report is a page for a browser. `--install` in the place of `--out` would put the table into force.")


if __name__ == "__main__":
    main()
