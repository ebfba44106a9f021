"""Calibration: the cosine at each false-accept and true-accept rate, stored in ``calibration.toml`` beside the pack.

FAR is the share of impostor pairs (two people) that are accepted, TAR the share of genuine pairs (one person). Both
depend on the impostors that are compared, so a calibration has one table per population. It is measured on the pairs
of labelled data. It names the sha256 of its embedder's file and is rejected for any other.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from app.domain import Population
from app.errors import OperatorError
from app.ops.process import shell_command

FARS = (0.5, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
THRESHOLD_FARS = (1e-3, 1e-4, 1e-5)
"""The FARs at the documented thresholds: the scores 40, 50 and 60 of version 3.0."""
MIN_GENUINE_POINTS = 2


class CalibrationError(OperatorError):
    """A calibration cannot be measured, read or used."""


class Status(StrEnum):
    """How the cosines at :data:`THRESHOLD_FARS` were found.

    ``PARTLY_EXTRAPOLATED``: the pairs were too few to count some of them. ``PROVISIONAL``: not measured with this
    embedder; the data of the table names the source.
    """

    MEASURED = "measured"
    PARTLY_EXTRAPOLATED = "partly extrapolated"
    PROVISIONAL = "provisional"


class OperatingPoint(NamedTuple):
    """A FAR, its cosine, and the 95 % interval of the cosine if it is known.

    ``is_extrapolated``: too few pairs lie above the cosine to count them. ``group``: the group of people that has the
    highest cosine at this FAR, or "".
    """

    far: float
    cosine: float
    is_extrapolated: bool = False
    interval: tuple[float, float] | None = None
    group: str = ""


GenuinePoint: TypeAlias = tuple[float, float]
"""(TAR, cosine)"""


class Group(NamedTuple):
    """A group of people; its impostor pairs are those within the group."""

    name: str
    people: int
    impostor_pairs: int


@dataclass(frozen=True, slots=True)
class PopulationTable:
    """The rates of one population; cosines ascend within ``impostor`` and within ``genuine``.

    ``data`` names the source. ``people`` is 0 if they are unknown. ``not_found``: number of images without a usable
    face, which are in no pair and not in ``images``. With ``groups``, each impostor point is that of the group with
    the highest cosine.
    """

    data: str
    people: int
    images: int
    not_found: int
    impostor_pairs: int
    genuine_pairs: int
    impostor: tuple[OperatingPoint, ...]
    genuine: tuple[GenuinePoint, ...]
    groups: tuple[Group, ...] = ()

    def cosine_at_far(self, far: float) -> float:
        """Return the cosine at ``far``, one of :data:`FARS`."""
        return next(point.cosine for point in self.impostor if point.far == far)

    @property
    def has_extrapolated_thresholds(self) -> bool:
        return any(point.is_extrapolated for point in self.impostor if point.far in THRESHOLD_FARS)

    def cosine_at_tar(self, tar: float) -> float:
        """Return the cosine that the share ``tar`` of genuine pairs reaches (linear between the measured points)."""
        tars, cosines = np.array(self.genuine[::-1]).T
        return float(np.interp(tar, tars, cosines))

    def tar_at_cosine(self, cosine: float) -> float:
        """Return the share of genuine pairs that reach ``cosine``; the inverse of ``cosine_at_tar``."""
        tars, cosines = np.array(self.genuine).T
        return float(np.interp(cosine, cosines, tars))

    def impostor_pairs_above(self, point: OperatingPoint) -> float:
        """Return the expected number of impostor pairs above the cosine of ``point``."""
        pairs_of_group = {group.name: group.impostor_pairs for group in self.groups}
        return point.far * pairs_of_group.get(point.group, self.impostor_pairs)


@dataclass(frozen=True, slots=True)
class Calibration:
    """The content of ``calibration.toml``; it always has the population ``general``."""

    pack: str
    embedder_sha256: str
    date: str
    is_provisional: bool
    populations: Mapping[Population, PopulationTable]

    def table(self, population: Population) -> PopulationTable:
        """Return the table of ``population``; raise :class:`CalibrationError` if it is missing."""
        if population not in self.populations:
            known = ", ".join(self.populations)
            command = shell_command(f"calibrate --pack {self.pack} --groups FOLDER --install")
            raise CalibrationError(
                f"the calibration of pack {self.pack} has no population {population} (only {known}): run `{command}`, "
                "or delete calibration.own.toml to restore the shipped calibration"
            )
        return self.populations[population]

    def status(self, population: Population = Population.GENERAL) -> Status:
        """Return the status of ``population``; the file contains that of ``general``."""
        if self.is_provisional:
            return Status.PROVISIONAL
        is_extrapolated = self.table(population).has_extrapolated_thresholds
        return Status.PARTLY_EXTRAPOLATED if is_extrapolated else Status.MEASURED


def is_ascending(points: list[OperatingPoint] | list[GenuinePoint]) -> bool:
    """Return whether the cosines of ``points`` increase strictly."""
    return bool(np.all(np.diff([point[1] for point in points]) > 0))


def load(path: Path, embedder_sha256: str) -> Calibration:
    """Read ``path``; raise :class:`CalibrationError` if it is missing, malformed or of another embedder."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        about = document.pop("about")
        tables = {Population(name): _table(content) for name, content in document.items()}
        is_provisional = Status(about.pop("status")) is Status.PROVISIONAL
        calibration = Calibration(**about, is_provisional=is_provisional, populations=tables)
    except FileNotFoundError as error:
        raise CalibrationError(f"{path} is missing: run `{shell_command('calibrate')}`") from error
    except TypeError as error:
        raise CalibrationError(
            f"{path} cannot be read: wrong keys; run `{shell_command('calibrate')}` again"
        ) from error
    except (OSError, KeyError, ValueError) as error:
        raise CalibrationError(f"{path} cannot be read: {error!r}") from error
    if calibration.embedder_sha256 != embedder_sha256:
        raise CalibrationError(f"{path} was measured with another embedder file: run `{shell_command('calibrate')}`")
    if Population.GENERAL not in tables:
        raise CalibrationError(f"{path} has no population {Population.GENERAL}: run `{shell_command('calibrate')}`")
    for population, table in tables.items():
        _check_points(f"{path}, population {population},", table)
    return calibration


def _table(content: Any) -> PopulationTable:
    if not isinstance(content, dict):
        raise TypeError("not a table")
    impostor = [
        OperatingPoint(
            float(row["far"]),
            float(row["cosine"]),
            bool(row.get("extrapolated")),
            _interval(row),
            str(row.get("group", "")),
        )
        for row in content.pop("impostor")
    ]
    genuine = [(float(row["tar"]), float(row["cosine"])) for row in content.pop("genuine")]
    groups = [Group(**row) for row in content.pop("group", [])]
    return PopulationTable(**content, impostor=tuple(impostor), genuine=tuple(genuine), groups=tuple(groups))


def _interval(row: dict[str, list[float]]) -> tuple[float, float] | None:
    if "interval" not in row:
        return None
    low, high = row["interval"]
    return float(low), float(high)


def _check_points(source: str, table: PopulationTable) -> None:
    impostor, genuine = list(table.impostor), list(table.genuine)
    if [point.far for point in impostor] != list(FARS) or not is_ascending(impostor):
        raise CalibrationError(f"{source} does not contain ascending cosines for the FARs {FARS}")
    if len(genuine) < MIN_GENUINE_POINTS or not is_ascending(genuine):
        raise CalibrationError(f"{source} does not contain ascending cosines for its TARs")
