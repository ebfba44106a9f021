"""What cosines mean: measured on labelled faces, kept in ``calibration.toml`` beside the pack.

In: all pairs of a labelled data set, counted by cosine. Out: a :class:`Calibration`: the cosine at each false-accept
rate (FAR, the share of impostor pairs accepted) and at each true-accept rate (TAR, the share of genuine pairs
accepted). It is bound to the embedder's file by sha256 and refused for any other.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.scoring.pairs import PairCounts

FARS = (0.5, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
TARS = (0.99, 0.98, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05)
FEWEST_ERRORS = 30
"""Expected impostors above a threshold below which its FAR is a rough guess (relative error over a third)."""


class CalibrationError(RuntimeError):
    """A calibration cannot be measured, read or used; the text is for the operator."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Measured operating points, cosines ascending within each table."""

    pack: str
    embedder_sha256: str
    data: str
    date: str
    people: int
    pictures: int
    not_found: int
    impostor_pairs: int
    genuine_pairs: int
    impostor: tuple[tuple[float, float], ...]
    """(FAR, cosine)"""
    genuine: tuple[tuple[float, float], ...]
    """(TAR, cosine)"""

    def cosine_at_far(self, far: float) -> float:
        return dict(self.impostor)[far]

    def cosine_at_tar(self, tar: float) -> float:
        """The cosine that the share ``tar`` of genuine pairs reaches (linear between the measured points)."""
        shares, cosines = np.array(self.genuine[::-1]).T
        return float(np.interp(tar, shares, cosines))

    def tar_at_cosine(self, cosine: float) -> float:
        shares, cosines = np.array(self.genuine).T
        return float(np.interp(cosine, cosines, shares))

    def rough_fars(self) -> tuple[float, ...]:
        """The FARs that rest on fewer than :data:`FEWEST_ERRORS` expected impostors."""
        return tuple(far for far, _ in self.impostor if far * self.impostor_pairs < FEWEST_ERRORS)


def measured_points(
    counts: PairCounts,
) -> tuple[tuple[tuple[float, float], ...], tuple[tuple[float, float], ...]]:
    """Return the (FAR, cosine) and (TAR, cosine) tables of ``counts``."""
    if not counts.impostor_pairs or not counts.genuine_pairs:
        raise CalibrationError("calibration needs at least two people, and two pictures of at least one of them")
    if counts.impostor_pairs * FARS[-1] < 1:
        raise CalibrationError(
            f"FAR {FARS[-1]:g} cannot be measured with {counts.impostor_pairs:,} pairs of different people: "
            f"it takes {1 / FARS[-1]:,.0f}, as 1,500 pictures of many people make"
        )
    impostor = tuple((far, round(counts.cosine_at_far(far), 6)) for far in FARS)
    genuine = tuple((tar, round(counts.cosine_at_tar(tar), 6)) for tar in TARS)
    if not (_ascends(impostor) and _ascends(genuine)):
        raise CalibrationError(
            "the cosines of neighbouring rates coincide: too few genuine pairs, or copies of pictures"
        )
    return impostor, genuine


def _ascends(points: tuple[tuple[float, float], ...]) -> bool:
    cosines: NDArray[np.float64] = np.array([cosine for _, cosine in points])
    return bool(np.all(np.diff(cosines) > 0))


def load(path: Path, embedder_sha256: str) -> Calibration:
    """Read ``path``; raise :class:`CalibrationError` if it is missing, malformed or of another embedder."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        about = table["about"]
        calibration = Calibration(
            **about,
            impostor=tuple((float(row["far"]), float(row["cosine"])) for row in table["impostor"]),
            genuine=tuple((float(row["tar"]), float(row["cosine"])) for row in table["genuine"]),
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise CalibrationError(f"{path} cannot be read: {error!r}") from error
    if calibration.embedder_sha256 != embedder_sha256:
        raise CalibrationError(f"{path} was measured with another embedder file: run `compareface calibrate`")
    if [far for far, _ in calibration.impostor] != list(FARS) or not _ascends(calibration.impostor):
        raise CalibrationError(f"{path} does not hold ascending cosines for the FARs {FARS}")
    if len(calibration.genuine) < 2 or not _ascends(calibration.genuine):  # noqa: PLR2004
        raise CalibrationError(f"{path} does not hold ascending cosines for its TARs")
    return calibration


def render(calibration: Calibration) -> str:
    """Return the text of ``calibration.toml``."""
    c = calibration
    lines = ["# Measured by `compareface calibrate`. models/README.md says how to read it.", "[about]"]
    lines += [f"{name} = {_quoted(getattr(c, name))}" for name in ("pack", "embedder_sha256", "data", "date")]
    lines += [
        f"{name} = {getattr(c, name)}"
        for name in ("people", "pictures", "not_found", "impostor_pairs", "genuine_pairs")
    ]
    for far, cosine in c.impostor:
        errors = f"  # {far * c.impostor_pairs:.0f} impostor pairs above"
        lines += ["", "[[impostor]]", f"far = {far:g}{errors}", f"cosine = {cosine:.6f}"]
    for tar, cosine in c.genuine:
        lines += ["", "[[genuine]]", f"tar = {tar:g}", f"cosine = {cosine:.6f}"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A TOML string: JSON's, but without its surrogate pairs, and with DEL escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
