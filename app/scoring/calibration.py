"""Calibration: the cosine at each false-accept and true-accept rate, stored in ``calibration.toml`` beside the pack.

FAR is the share of impostor pairs (two people) that are accepted, TAR the share of genuine pairs (one person). A
calibration is measured on the pairs of a labelled data set. It names the sha256 of its embedder's file and is rejected
for any other.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from app.errors import OperatorError
from app.ops.process import shell_command

FARS = (0.5, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
MIN_GENUINE_POINTS = 2


class CalibrationError(OperatorError):
    """A calibration cannot be measured, read or used."""


class OperatingPoint(NamedTuple):
    """A FAR, its cosine, and the 95 % interval of the cosine if it is known.

    ``is_extrapolated``: too few pairs lie above the cosine to count them.
    """

    far: float
    cosine: float
    is_extrapolated: bool = False
    interval: tuple[float, float] | None = None


GenuinePoint: TypeAlias = tuple[float, float]
"""(TAR, cosine)"""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The content of ``calibration.toml``; cosines ascend within ``impostor`` and within ``genuine``.

    ``not_found``: number of images without a usable face, which are in no pair and not in ``images``.
    """

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


def is_ascending(points: list[OperatingPoint] | list[GenuinePoint]) -> bool:
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
    except TypeError as error:
        raise CalibrationError(
            f"{path} cannot be read: wrong keys; run `{shell_command('calibrate')}` again"
        ) from error
    except (OSError, KeyError, ValueError) as error:
        raise CalibrationError(f"{path} cannot be read: {error!r}") from error
    if table["about"].get("status") not in {"measured", "provisional"}:
        raise CalibrationError(f"{path} cannot be read: status must be measured or provisional")
    if calibration.embedder_sha256 != embedder_sha256:
        raise CalibrationError(f"{path} was measured with another embedder file: run `{shell_command('calibrate')}`")
    if [point.far for point in impostor] != list(FARS) or not is_ascending(impostor):
        raise CalibrationError(f"{path} does not contain ascending cosines for the FARs {FARS}")
    if len(genuine) < MIN_GENUINE_POINTS or not is_ascending(genuine):
        raise CalibrationError(f"{path} does not contain ascending cosines for its TARs")
    return calibration


def _interval(row: dict[str, list[float]]) -> tuple[float, float] | None:
    if "interval" not in row:
        return None
    low, high = row["interval"]
    return float(low), float(high)
