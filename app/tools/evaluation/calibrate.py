"""Measure a calibration on counted pairs, and render it as ``calibration.toml``.

FARs with too few impostor pairs above their cosine are extrapolated with a fitted tail.
"""

import datetime

import numpy as np

from app.domain import FaceModelVersion
from app.packs.files import toml_value
from app.packs.manifest import Pack
from app.scoring.calibration import (
    FARS,
    MIN_GENUINE_POINTS,
    Calibration,
    CalibrationError,
    GenuinePoint,
    OperatingPoint,
    is_ascending,
)
from app.scoring.scale import Scale
from app.tools.evaluation.intervals import jackknife_error
from app.tools.evaluation.measure import Measurement
from app.tools.evaluation.pairs import LabelledFaces, PairCounts, count_pairs

TARS = (0.99, 0.98, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05)
MIN_EXPECTED_IMPOSTORS = 30
"""A FAR is extrapolated if fewer impostor pairs are expected above its cosine (relative error over a third)."""
_MIN_IMPOSTOR_PAIRS, _MIN_FOLD_PAIRS = 300, 150
_TAIL_FAR, _MIN_TAIL_PAIRS, _MAX_TAIL_FAR = 1e-3, 200, 0.2
"""The tail starts at FAR 1e-3. If fewer than 200 pairs lie above, it starts at a higher FAR, at most 0.2."""
_FOLDS, _T9 = 10, 2.262157
"""Groups of people in the jackknife, and Student's t with 9 degrees of freedom, two-sided 95 %."""
_COINCIDE = "the cosines of neighbouring rates coincide: too few people or images, or copies of images"


def calibrate(measured: Measurement, pack: Pack, data: str) -> Calibration:
    """Return the calibration of the counted pairs; raise :class:`CalibrationError` if it gives no scale."""
    counts, gallery, listed = measured
    points = impostor_points(counts)
    table = Calibration(
        pack=pack.name,
        embedder_sha256=pack.embedder_sha256,
        data=data,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        people=len(set(gallery.people)) if listed is None or listed.has_people else 0,
        images=len(gallery.images),
        not_found=len(gallery.failures),
        impostor_pairs=counts.impostor_pairs,
        genuine_pairs=counts.genuine_pairs,
        impostor=points if listed else with_intervals(points, measured.faces),
        genuine=genuine_points(counts),
    )
    for version in FaceModelVersion:
        Scale(table, version)  # a service must be able to start with this table
    return table


def impostor_points(counts: PairCounts, min_pairs: int = _MIN_IMPOSTOR_PAIRS) -> tuple[OperatingPoint, ...]:
    """Return the points at :data:`FARS`; those with too few pairs above their cosine are extrapolated.

    Raise :class:`CalibrationError` for fewer than ``min_pairs`` impostor pairs or cosines that do not ascend.
    """
    pairs = counts.impostor_pairs
    if pairs < min_pairs:
        needed = f"{min_pairs} pairs of different people (13 people with two images)"
        raise CalibrationError(f"calibration needs {needed}; there are {pairs}")
    tail_far = min(max(_TAIL_FAR, _MIN_TAIL_PAIRS / pairs), _MAX_TAIL_FAR)
    if not counts.far(counts.cosine_at_far(tail_far)):
        raise CalibrationError(_COINCIDE)
    tail = counts.impostor_tail(tail_far)
    points = []
    for far in FARS:
        is_extrapolated = far * pairs < MIN_EXPECTED_IMPOSTORS
        cosine = tail.cosine_at_far(far) if is_extrapolated else counts.cosine_at_far(far)
        points.append(OperatingPoint(far, round(min(cosine, 1.0), 6), is_extrapolated))
    if not is_ascending(points):
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
    if len(points) < MIN_GENUINE_POINTS or not is_ascending(points):
        raise CalibrationError(_COINCIDE)
    return tuple(points)


def with_intervals(points: tuple[OperatingPoint, ...], faces: LabelledFaces) -> tuple[OperatingPoint, ...]:
    """Return ``points`` with the 95 % intervals of their cosines; unchanged if the data is too small.

    Delete-a-group jackknife (Kott, "The Delete-a-Group Jackknife", 2001): the points are measured ten times, each
    time without another tenth of the people. This covers the error of the fitted tail, too.
    """
    labels = faces.labels
    fold_of_row = np.random.default_rng(0).permutation(labels.max() + 1)[labels] % _FOLDS
    replicates = []
    try:
        for fold in range(_FOLDS):
            kept = fold_of_row != fold
            counts = count_pairs(faces.embeddings[kept], labels[kept].astype(str).tolist())
            replicates.append([point.cosine for point in impostor_points(counts, _MIN_FOLD_PAIRS)])
    except CalibrationError:
        return points
    return tuple(
        point._replace(interval=(round(point.cosine - margin, 6), round(min(1.0, point.cosine + margin), 6)))
        for point, margin in zip(points, (_T9 * jackknife_error(np.array(replicates))).tolist(), strict=True)
    )


def render(calibration: Calibration) -> str:
    """Return the text of ``calibration.toml``."""
    lines = ["# Written by `compareface calibrate`. models/README.md says how to read it.", "[about]"]
    texts = ("pack", "embedder_sha256", "data", "date", "status")
    numbers = ("people", "images", "not_found", "impostor_pairs", "genuine_pairs")
    lines += [f"{name} = {toml_value(getattr(calibration, name))}" for name in (*texts, *numbers)]
    for point in calibration.impostor:
        pairs_above = point.far * calibration.impostor_pairs
        lines += ["", "[[impostor]]", f"far = {point.far:g}  # {pairs_above:.4g} impostor pairs above"]
        lines += [f"cosine = {point.cosine:.6f}", *(["extrapolated = true"] if point.is_extrapolated else [])]
        lines += ["interval = [{:.6f}, {:.6f}]".format(*point.interval)] if point.interval else []
    for tar, cosine in calibration.genuine:
        lines += ["", "[[genuine]]", f"tar = {tar:g}", f"cosine = {cosine:.6f}"]
    return "\n".join(lines) + "\n"
