"""``make calibrate-demo``: calibrate on 14 people and write the report.

``../shared/data/london`` has two photos of each: 14 genuine and 364 impostor pairs. They measure a FAR of 10 % and no
less; the table and the report mark everything else as extrapolated.
"""

from pathlib import Path

from app.cli import main as compareface

_ROOT = Path(__file__).resolve().parents[1]
_FACES = _ROOT.parent / "shared/data/london"


def main() -> None:
    if not _FACES.is_dir():
        print("calibrate-demo: skipped, ../shared/data/london does not exist")
        return
    folder = _ROOT / "build/calibrate-demo"
    folder.mkdir(parents=True, exist_ok=True)
    table, report = folder / "calibration.toml", folder / "report.html"
    code = compareface(["calibrate", str(_FACES), "--pack", "open", "--out", str(table), "--report", str(report)])
    if code:
        raise SystemExit(code)
    print(f"Open {report} in a browser. `--install` would refuse this calibration: its thresholds are extrapolated.")


if __name__ == "__main__":
    main()
