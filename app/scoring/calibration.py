"""Calibration: the cosine at each false-accept and true-accept rate, stored in ``calibration.toml`` beside the pack.

FAR is the share of impostor pairs (two people) that are accepted, TAR the share of genuine pairs (one person). A
calibration is measured on the pairs of a labelled data set. It names the sha256 of its embedder's file and is rejected
for any other. FARs with too few pairs above their cosine are extrapolated with a fitted tail.
"""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from app.errors import OperatorError
from app.ops.process import shell_command
from app.scoring.pairs import PairCounts

FARS = (0.5, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
TARS = (0.99, 0.98, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05)
MIN_EXPECTED_IMPOSTORS = 30
"""A FAR is extrapolated if fewer impostor pairs are expected above its cosine (relative error over a third)."""
_MIN_IMPOSTOR_PAIRS = 300
_MIN_GENUINE_POINTS = 2
_TAIL_FAR, _MIN_TAIL_PAIRS, _MAX_TAIL_FAR = 1e-3, 200, 0.2
"""The tail starts at FAR 1e-3. If fewer than 200 pairs lie above, it starts at a higher FAR, at most 0.2."""
_COINCIDE = "the cosines of neighbouring rates coincide: too few people or images, or copies of images"


class CalibrationError(OperatorError):
    """A calibration cannot be measured, read or used."""


class OperatingPoint(NamedTuple):
    """A FAR, its cosine, and the 95 % interval of the cosine if it is known.

    ``is_extrapolated``: fewer than :data:`MIN_EXPECTED_IMPOSTORS` pairs lie above the cosine.
    """

    far: float
    cosine: float
    is_extrapolated: bool = False
    interval: tuple[float, float] | None = None


GenuinePoint: TypeAlias = tuple[float, float]
"""(TAR, cosine)"""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The content of ``calibration.toml``; cosines ascend within ``impostor`` and within ``genuine``."""

    pack: str
    embedder_sha256: str
    data: str
    date: str
    people: int
    images: int
    not_found: int
    impostor_pairs: int
    genuine_pairs: int
    impostor: tuple[OperatingPoint, ...]
    genuine: tuple[GenuinePoint, ...]
    status: Literal["measured", "provisional"] = "measured"
    """``provisional``: not measured with this embedder; ``data`` names the source."""

    def cosine_at_far(self, far: float) -> float:
        """Return the cosine at ``far``, one of :data:`FARS`."""
        return next(point.cosine for point in self.impostor if point.far == far)

    def cosine_at_tar(self, tar: float) -> float:
        """Return the cosine that the share ``tar`` of genuine pairs reaches (linear between the measured points)."""
        tars, cosines = np.array(self.genuine[::-1]).T
        return float(np.interp(tar, tars, cosines))

    def tar_at_cosine(self, cosine: float) -> float:
        """Return the share of genuine pairs that reach ``cosine``; the inverse of ``cosine_at_tar``."""
        tars, cosines = np.array(self.genuine).T
        return float(np.interp(cosine, cosines, tars))


def impostor_points(counts: PairCounts, min_pairs: int = _MIN_IMPOSTOR_PAIRS) -> tuple[OperatingPoint, ...]:
    """Return the points at :data:`FARS`; those with too few pairs above their cosine are extrapolated.

    Raise :class:`CalibrationError` for fewer than ``min_pairs`` impostor pairs or cosines that do not ascend.
    """
    pairs = counts.impostor_pairs
    if pairs < min_pairs:
        raise CalibrationError(f"calibration needs {min_pairs} pairs of different people; there are {pairs}")
    tail_far = min(max(_TAIL_FAR, _MIN_TAIL_PAIRS / pairs), _MAX_TAIL_FAR)
    if not counts.far(counts.cosine_at_far(tail_far)):
        raise CalibrationError(_COINCIDE)
    tail = counts.impostor_tail(tail_far)
    points = []
    for far in FARS:
        is_extrapolated = far * pairs < MIN_EXPECTED_IMPOSTORS
        cosine = tail.cosine_at_far(far) if is_extrapolated else counts.cosine_at_far(far)
        points.append(OperatingPoint(far, round(min(cosine, 1.0), 6), is_extrapolated))
    if not _is_ascending(points):
        raise CalibrationError(_COINCIDE)
    return tuple(points)


def genuine_points(counts: PairCounts) -> tuple[GenuinePoint, ...]:
    """Return the cosine at each of :data:`TARS` that the number of pairs can resolve.

    Raise :class:`CalibrationError` without genuine pairs or if the cosines do not ascend.
    """
    if not counts.genuine_pairs:
        raise CalibrationError("calibration needs two images of at least one person")
    margin = 0.5 / counts.genuine_pairs  # the rates of the outermost pairs
    points = [(tar, round(counts.cosine_at_tar(tar), 6)) for tar in TARS if margin <= tar <= 1 - margin]
    if len(points) < _MIN_GENUINE_POINTS or not _is_ascending(points):
        raise CalibrationError(_COINCIDE)
    return tuple(points)


def _is_ascending(points: list[OperatingPoint] | list[GenuinePoint]) -> bool:
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
        calibration = Calibration(**table["about"], impostor=tuple(impostor), genuine=tuple(genuine))
    except FileNotFoundError as error:
        raise CalibrationError(f"{path} is missing: run `{shell_command('calibrate')}`") from error
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise CalibrationError(f"{path} cannot be read: {error!r}") from error
    if table["about"].get("status") not in {"measured", "provisional"}:
        raise CalibrationError(f"{path} cannot be read: status must be measured or provisional")
    if calibration.embedder_sha256 != embedder_sha256:
        raise CalibrationError(f"{path} was measured with another embedder file: run `{shell_command('calibrate')}`")
    if [point.far for point in impostor] != list(FARS) or not _is_ascending(impostor):
        raise CalibrationError(f"{path} does not contain ascending cosines for the FARs {FARS}")
    if len(genuine) < _MIN_GENUINE_POINTS or not _is_ascending(genuine):
        raise CalibrationError(f"{path} does not contain ascending cosines for its TARs")
    return calibration


def _interval(row: dict[str, list[float]]) -> tuple[float, float] | None:
    if "interval" not in row:
        return None
    low, high = row["interval"]
    return float(low), float(high)


def render(calibration: Calibration) -> str:
    """Return the text of ``calibration.toml``."""
    lines = ["# Written by `compareface calibrate`. models/README.md says how to read it.", "[about]"]
    texts = ("pack", "embedder_sha256", "data", "date", "status")
    numbers = ("people", "images", "not_found", "impostor_pairs", "genuine_pairs")
    lines += [f"{name} = {_toml_value(getattr(calibration, name))}" for name in (*texts, *numbers)]
    for point in calibration.impostor:
        pairs_above = point.far * calibration.impostor_pairs
        lines += ["", "[[impostor]]", f"far = {point.far:g}  # {pairs_above:.4g} impostor pairs above"]
        lines += [f"cosine = {point.cosine:.6f}", *(["extrapolated = true"] if point.is_extrapolated else [])]
        lines += ["interval = [{:.6f}, {:.6f}]".format(*point.interval)] if point.interval else []
    for tar, cosine in calibration.genuine:
        lines += ["", "[[genuine]]", f"tar = {tar:g}", f"cosine = {cosine:.6f}"]
    return "\n".join(lines) + "\n"


def _toml_value(value: str | int) -> str:
    """Return ``value`` in TOML, which is JSON without surrogate pairs and with DEL escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
