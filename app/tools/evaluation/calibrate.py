"""Measure a calibration on counted pairs.

FARs with too few impostor pairs above their cosine are extrapolated with a fitted tail.
"""

import datetime

import numpy as np

from app.domain import FaceModelVersion, Population
from app.packs.manifest import Pack
from app.scoring.calibration import (
    FARS,
    MIN_GENUINE_POINTS,
    Calibration,
    CalibrationError,
    GenuinePoint,
    Group,
    OperatingPoint,
    PopulationTable,
    is_ascending,
)
from app.scoring.scale import Scale
from app.tools.evaluation.intervals import jackknife_error
from app.tools.evaluation.measure import Measurement
from app.tools.evaluation.pairs import LabelledFaces, PairCounts, count_pairs
from app.tools.evaluation.sample_size import MIN_EXPECTED_IMPOSTORS, is_measured, people_needed

TARS = (0.99, 0.98, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05)
MIN_GROUP_PEOPLE = 10
_MIN_IMPOSTOR_PAIRS, _MIN_FOLD_PAIRS = 300, 150
_TAIL_FAR, _MIN_TAIL_PAIRS, _MAX_TAIL_FAR = 1e-3, 200, 0.2
"""The tail starts at FAR 1e-3. If fewer than 200 pairs lie above, it starts at a higher FAR, at most 0.2."""
_FOLDS, _T9 = 10, 2.262157
"""Groups of people in the jackknife, and Student's t with 9 degrees of freedom, two-sided 95 %."""
_COINCIDE = "the cosines of neighbouring rates coincide: too few people or images, or copies of images"


def calibrate(measured: Measurement, pack: Pack, data: str, matched_data: str = "") -> Calibration:
    """Return the calibration of the counted pairs: ``general`` for all pairs, ``matched`` for those within a group.

    ``data`` and ``matched_data`` name the source of the pairs; by default both have the same name. Raise
    :class:`CalibrationError` if the pairs give no scale, also for a group with too few pairs.
    """
    populations = {Population.GENERAL: general_table(measured, data)}
    if measured.groups:
        matched_data = matched_data or f"{data}, pairs within a group ({', '.join(measured.groups)})"
        genuine = populations[Population.GENERAL].genuine
        populations[Population.MATCHED] = matched_table(genuine, measured, matched_data)
    for table in populations.values():
        check_scales(table)
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    return Calibration(pack.name, pack.embedder_sha256, date, is_provisional=False, populations=populations)


def check_scales(table: PopulationTable) -> None:
    """Raise :class:`CalibrationError` if a service could not start with ``table``."""
    for version in FaceModelVersion:
        Scale(table, version)


def general_table(measured: Measurement, data: str) -> PopulationTable:
    """Return the table of all pairs."""
    counts, gallery = measured.counts, measured.gallery
    return PopulationTable(
        data=data,
        people=measured.people,
        images=len(gallery.images),
        not_found=len(gallery.failures),
        impostor_pairs=counts.impostor_pairs,
        genuine_pairs=counts.genuine_pairs,
        impostor=_impostor_points(measured),
        genuine=genuine_points(counts),
    )


def matched_table(genuine: tuple[GenuinePoint, ...], measured: Measurement, data: str) -> PopulationTable:
    """Return the table of the impostor pairs within the groups of ``measured``.

    Each group has its own points, extrapolated by its own tail. At each FAR the highest cosine decides, so that the
    FAR holds in every group. ``genuine`` are the points of all genuine pairs.
    """
    points = []
    for name, group in measured.groups.items():
        if group.people < MIN_GROUP_PEOPLE and not group.listed:
            raise CalibrationError(f"group {name}: a group needs {MIN_GROUP_PEOPLE} people; there are {group.people}")
        try:
            points.append([point._replace(group=name) for point in _impostor_points(group)])
        except CalibrationError as error:
            raise CalibrationError(f"group {name}: {error}") from error
    members = measured.groups.values()
    return PopulationTable(
        data=data,
        people=sum(group.people for group in members),
        images=sum(len(group.gallery.images) for group in members),
        not_found=sum(len(group.gallery.failures) for group in members),
        impostor_pairs=sum(group.counts.impostor_pairs for group in members),
        genuine_pairs=measured.counts.genuine_pairs,
        impostor=tuple(max(column, key=lambda point: point.cosine) for column in zip(*points, strict=True)),
        genuine=genuine,
        groups=tuple(Group(name, group.people, group.counts.impostor_pairs) for name, group in measured.groups.items()),
    )


def _impostor_points(measured: Measurement) -> tuple[OperatingPoint, ...]:
    points = impostor_points(measured.counts)
    return points if measured.listed else with_intervals(points, measured.faces)


def impostor_points(counts: PairCounts, min_pairs: int = _MIN_IMPOSTOR_PAIRS) -> tuple[OperatingPoint, ...]:
    """Return the points at :data:`FARS`; those with too few pairs above their cosine are extrapolated.

    Raise :class:`CalibrationError` for fewer than ``min_pairs`` impostor pairs or cosines that do not ascend.
    """
    pairs = counts.impostor_pairs
    if pairs < min_pairs:
        people = people_needed(MIN_EXPECTED_IMPOSTORS / min_pairs)
        needed = f"{min_pairs} pairs of different people ({people} people with two images)"
        raise CalibrationError(f"calibration needs {needed}; there are {pairs}")
    tail_far = min(max(_TAIL_FAR, _MIN_TAIL_PAIRS / pairs), _MAX_TAIL_FAR)
    if not counts.far(counts.cosine_at_far(tail_far)):
        raise CalibrationError(_COINCIDE)
    tail = counts.impostor_tail(tail_far)
    points = []
    for far in FARS:
        is_extrapolated = not is_measured(far, pairs)
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
