"""What cosines mean: measured on labelled faces, kept in ``calibration.toml`` beside the pack.

In: all pairs of a labelled data set. Out: a :class:`Calibration`: the cosine at each false-accept rate (FAR, the share
of impostor pairs accepted) and at each true-accept rate (TAR, the share of genuine pairs accepted). It is bound to the
embedder's file by sha256 and refused for any other. Rates that too few pairs stand behind are read off a fitted tail.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from app.errors import OperatorError
from app.ops.process import own_command
from app.scoring.pairs import PairCounts

FARS = (0.5, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
TARS = (0.99, 0.98, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05)
FEWEST_ERRORS = 30
"""Expected impostors above a threshold below which its FAR is extrapolated (relative error over a third)."""
_FEWEST_IMPOSTORS = 300
_FEWEST_TARS = 2
_TAIL_FAR, _TAIL_ERRORS, _TAIL_FAR_MOST = 1e-3, 200, 0.2
"""The tail is fitted above FAR 1e-3, or so much more that it has 200 pairs, but never above 0.2."""
_COINCIDE = "the cosines of neighbouring rates coincide: too few people or pictures, or copies of pictures"


class CalibrationError(OperatorError):
    """A calibration cannot be measured, read or used; the text is for the operator."""


class OperatingPoint(NamedTuple):
    """A FAR and its cosine, with the cosine's 95 % interval where it is known.

    ``is_extrapolated`` where fewer than :data:`FEWEST_ERRORS` pairs stand behind it.
    """

    far: float
    cosine: float
    is_extrapolated: bool = False
    interval: tuple[float, float] | None = None


GenuinePoint: TypeAlias = tuple[float, float]
"""(TAR, cosine)"""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Operating points, cosines ascending within each table."""

    pack: str
    embedder_sha256: str
    data: str
    date: str
    people: int
    pictures: int
    not_found: int
    impostor_pairs: int
    genuine_pairs: int
    impostor: tuple[OperatingPoint, ...]
    genuine: tuple[GenuinePoint, ...]
    status: Literal["measured", "provisional"] = "measured"
    """``provisional``: not measured with this embedder; ``data`` says where it comes from."""

    def cosine_at_far(self, far: float) -> float:
        return next(point.cosine for point in self.impostor if point.far == far)

    def cosine_at_tar(self, tar: float) -> float:
        """The cosine that the share ``tar`` of genuine pairs reaches (linear between the measured points)."""
        shares, cosines = np.array(self.genuine[::-1]).T
        return float(np.interp(tar, shares, cosines))

    def tar_at_cosine(self, cosine: float) -> float:
        shares, cosines = np.array(self.genuine).T
        return float(np.interp(cosine, cosines, shares))

    def errors(self, point: OperatingPoint) -> float:
        """The impostor pairs expected above a point."""
        return point.far * self.impostor_pairs


def impostor_points(counts: PairCounts, fewest: int = _FEWEST_IMPOSTORS) -> tuple[OperatingPoint, ...]:
    """Return the cosine at each of :data:`FARS`, beyond the data by the fitted tail."""
    pairs = counts.impostor_pairs
    if pairs < fewest:
        raise CalibrationError(f"calibration needs {fewest} pairs of different people; there are {pairs}")
    tail_far = min(max(_TAIL_FAR, _TAIL_ERRORS / pairs), _TAIL_FAR_MOST)
    if not counts.far(counts.cosine_at_far(tail_far)):
        raise CalibrationError(_COINCIDE)
    tail = counts.impostor_tail(tail_far)
    points = []
    for far in FARS:
        beyond = far * pairs < FEWEST_ERRORS
        cosine = tail.cosine_at_far(far) if beyond else counts.cosine_at_far(far)
        points.append(OperatingPoint(far, round(min(cosine, 1.0), 6), beyond))
    if not _ascends(points):
        raise CalibrationError(_COINCIDE)
    return tuple(points)


def genuine_points(counts: PairCounts) -> tuple[GenuinePoint, ...]:
    """Return the cosine at each of :data:`TARS` that the number of pairs allows."""
    if not counts.genuine_pairs:
        raise CalibrationError("calibration needs two pictures of at least one person")
    margin = 0.5 / counts.genuine_pairs  # beyond the outermost pairs nothing is known
    points = [(tar, round(counts.cosine_at_tar(tar), 6)) for tar in TARS if margin <= tar <= 1 - margin]
    if len(points) < _FEWEST_TARS or not _ascends(points):
        raise CalibrationError(_COINCIDE)
    return tuple(points)


def _ascends(points: list[OperatingPoint] | list[GenuinePoint]) -> bool:
    return bool(np.all(np.diff([point[1] for point in points]) > 0))


def load(path: Path, embedder_sha256: str) -> Calibration:
    """Read ``path``; raise :class:`CalibrationError` if it is missing, malformed or of another embedder."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        impostor = [
            OperatingPoint(float(row["far"]), float(row["cosine"]), bool(row.get("extrapolated")), _interval(row))
            for row in table["impostor"]
        ]
        genuine = [(float(row["tar"]), float(row["cosine"])) for row in table["genuine"]]
        calibration = Calibration(**_checked(table["about"]), impostor=tuple(impostor), genuine=tuple(genuine))
    except FileNotFoundError as error:
        raise CalibrationError(f"{path} is missing: run `{own_command('calibrate')}`") from error
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise CalibrationError(f"{path} cannot be read: {error!r}") from error
    if calibration.embedder_sha256 != embedder_sha256:
        raise CalibrationError(f"{path} was measured with another embedder file: run `{own_command('calibrate')}`")
    if [point.far for point in impostor] != list(FARS) or not _ascends(impostor):
        raise CalibrationError(f"{path} does not hold ascending cosines for the FARs {FARS}")
    if len(genuine) < _FEWEST_TARS or not _ascends(genuine):
        raise CalibrationError(f"{path} does not hold ascending cosines for its TARs")
    return calibration


def _checked(about: dict[str, Any]) -> dict[str, Any]:
    if about["status"] not in {"measured", "provisional"}:
        raise ValueError("status is measured or provisional")
    return about


def _interval(row: dict[str, list[float]]) -> tuple[float, float] | None:
    if "interval" not in row:
        return None
    low, high = row["interval"]
    return float(low), float(high)


def render(calibration: Calibration) -> str:
    """Return the text of ``calibration.toml``."""
    c = calibration
    lines = ["# Written by `compareface calibrate`. models/README.md says how to read it.", "[about]"]
    lines += [f"{name} = {_quoted(getattr(c, name))}" for name in ("pack", "embedder_sha256", "data", "date", "status")]
    lines += [
        f"{name} = {getattr(c, name)}"
        for name in ("people", "pictures", "not_found", "impostor_pairs", "genuine_pairs")
    ]
    for point in c.impostor:
        lines += ["", "[[impostor]]", f"far = {point.far:g}  # {c.errors(point):.4g} impostor pairs above"]
        lines += [f"cosine = {point.cosine:.6f}", *(["extrapolated = true"] if point.is_extrapolated else [])]
        lines += ["interval = [{:.6f}, {:.6f}]".format(*point.interval)] if point.interval else []
    for tar, cosine in c.genuine:
        lines += ["", "[[genuine]]", f"tar = {tar:g}", f"cosine = {cosine:.6f}"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A TOML string: JSON's, but without its surrogate pairs, and with DEL escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
