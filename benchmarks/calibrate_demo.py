"""``make calibrate-demo``: calibrate on a few people, and look at the report.

The folder ``../shared/data/london`` shows 14 people twice: 14 genuine and 364 impostor pairs. So few pairs measure a
FAR of 10 % and no less; all else in the table is extrapolated, and the report says so.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from app.cli import main as compareface

_FACES = Path(__file__).resolve().parents[2] / "shared/data/london"


def main() -> None:
    if not _FACES.is_dir():
        print("calibrate-demo: skipped, the folder ../shared/data/london is not here")
        return
    folder = Path(tempfile.mkdtemp(prefix="compareface-"))
    table, report = folder / "calibration.toml", folder / "report.html"
    code = compareface(["calibrate", str(_FACES), "--out", str(table), "--report", str(report)])
    if code:
        raise SystemExit(code)
    print(f"\n{table.read_text(encoding='utf-8')}\nThe report, for a browser: {report}")


if __name__ == "__main__":
    main()
