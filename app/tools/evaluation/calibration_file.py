"""Render a calibration as the text of ``calibration.toml``, which :mod:`app.scoring.calibration` reads."""

from app.packs.files import toml_value
from app.scoring.calibration import Calibration, OperatingPoint, PopulationTable

_ABOUT = ("pack", "embedder_sha256", "date")
_TABLE = ("data", "people", "images", "not_found", "impostor_pairs", "genuine_pairs")


def render(calibration: Calibration) -> str:
    """Return the text of ``calibration.toml``."""
    lines = ["# Written by `compareface calibrate`. models/README.md says how to read it.", "[about]"]
    lines += [f"{name} = {toml_value(getattr(calibration, name))}" for name in _ABOUT]
    lines.append(f"status = {toml_value(calibration.status().value)}")
    for population, table in calibration.populations.items():
        lines += ["", f"[{population}]"]
        lines += [f"{name} = {toml_value(getattr(table, name))}" for name in _TABLE]
        for group in table.groups:
            lines += ["", f"[[{population}.group]]"]
            lines += [f"{name} = {toml_value(value)}" for name, value in group._asdict().items()]
        for point in table.impostor:
            lines += ["", f"[[{population}.impostor]]", *_impostor_lines(table, point)]
        for tar, cosine in table.genuine:
            lines += ["", f"[[{population}.genuine]]", f"tar = {tar:g}", f"cosine = {cosine:.6f}"]
    return "\n".join(lines) + "\n"


def _impostor_lines(table: PopulationTable, point: OperatingPoint) -> list[str]:
    return [
        f"far = {point.far:g}  # {table.impostor_pairs_above(point):.4g} impostor pairs above",
        f"cosine = {point.cosine:.6f}",
        *(["extrapolated = true"] if point.is_extrapolated else []),
        *(["interval = [{:.6f}, {:.6f}]".format(*point.interval)] if point.interval else []),
        *([f"group = {toml_value(point.group)}"] if point.group else []),
    ]
