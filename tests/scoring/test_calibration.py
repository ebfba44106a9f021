import dataclasses
import re
from pathlib import Path

import pytest

from app.domain import Population
from app.scoring.calibration import Calibration, CalibrationError, Group, Status, load
from app.tools.evaluation.calibration_file import render
from app.tools.evaluation.pairs import count_pairs
from tests.tools.evaluation.random_faces import SHA256, calibration_of, random_faces

_TWO_EQUAL_TARS = ("[[general.genuine]]", "[[general.genuine]]\ntar = 0.5\ncosine = 0.5\n\n[[general.genuine]]")


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    faces = random_faces(300)
    counts = count_pairs(faces.embeddings, faces.people)
    return calibration_of(counts, faces, data='random "people" of C:\\users\\\u5f20\U00020bb7\x7f')


def test_a_rendered_calibration_loads_unchanged(calibration: Calibration, tmp_path: Path) -> None:
    path = tmp_path / "calibration.toml"
    path.write_text(render(calibration), encoding="utf-8")
    loaded = load(path, SHA256)
    assert loaded == calibration


def test_the_status_of_a_population_follows_from_its_points(calibration: Calibration) -> None:
    """The pairs of 300 people with four images measure the FAR at 40 and 50, but not that at 60."""
    assert calibration.status() is Status.PARTLY_EXTRAPOLATED
    table = calibration.table(Population.GENERAL)
    for limit, status in ((1e-5, Status.MEASURED), (2e-5, Status.PARTLY_EXTRAPOLATED)):
        points = tuple(point._replace(is_extrapolated=point.far < limit) for point in table.impostor)
        tables = {Population.GENERAL: table, Population.MATCHED: dataclasses.replace(table, impostor=points)}
        both = dataclasses.replace(calibration, populations=tables)
        assert both.status(Population.MATCHED) is status
        assert both.status() is Status.PARTLY_EXTRAPOLATED
    assert dataclasses.replace(calibration, is_provisional=True).status() is Status.PROVISIONAL


def test_tars_between_measured_points_are_interpolated(calibration: Calibration) -> None:
    table = calibration.table(Population.GENERAL)
    for tar in (0.9, 0.5, 0.33):
        assert table.tar_at_cosine(table.cosine_at_tar(tar)) == pytest.approx(tar)


def test_each_population_has_its_table(calibration: Calibration, tmp_path: Path) -> None:
    general = calibration.table(Population.GENERAL)
    points = tuple(point._replace(cosine=point.cosine + 0.01, group="north") for point in general.impostor)
    groups = (Group("north", 30, 4000), Group("south", 0, 500))
    matched = dataclasses.replace(general, data="pairs within a group", impostor=points, groups=groups)
    both = dataclasses.replace(calibration, populations={**calibration.populations, Population.MATCHED: matched})
    path = tmp_path / "calibration.toml"
    path.write_text(render(both), encoding="utf-8")
    loaded = load(path, SHA256)
    assert loaded == both
    assert loaded.table(Population.MATCHED).cosine_at_far(1e-3) == pytest.approx(general.cosine_at_far(1e-3) + 0.01)


def test_the_impostor_pairs_above_a_point_are_those_of_its_group(calibration: Calibration) -> None:
    table = dataclasses.replace(calibration.table(Population.GENERAL), groups=(Group("north", 30, 4000),))
    point = table.impostor[1]
    assert table.impostor_pairs_above(point) == point.far * table.impostor_pairs
    assert table.impostor_pairs_above(point._replace(group="north")) == point.far * 4000


def test_a_missing_population_is_reported_with_the_command_that_measures_it(calibration: Calibration) -> None:
    message = (
        r"pack random has no population matched \(only general\): run `\S*compareface calibrate --pack random --groups "
        r"FOLDER --install`, or delete calibration.own.toml to restore the shipped calibration$"
    )
    with pytest.raises(CalibrationError, match=message):
        calibration.table(Population.MATCHED)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace(SHA256, "cd" * 32), "another embedder"),
        (lambda text: text.replace("[about]", "[about"), "cannot be read"),
        (lambda text: text.replace("people = ", "persons = "), "cannot be read"),
        (lambda text: text.replace("far = 0.001", "far = 0.002"), "FARs"),
        (lambda text: re.sub("cosine = .*", "cosine = 0.5", text), "ascending"),
        (lambda text: text.replace(*_TWO_EQUAL_TARS, 2), "TARs"),
        (lambda text: text.partition("[[general.genuine]]")[0], "cannot be read"),
        (lambda text: text.replace("general", "matched"), "has no population general"),
        (lambda text: text.replace("general", "anyone"), "'anyone' is not a valid Population"),
        (lambda text: text.replace("[about]", "matched = 1\n[about]"), "cannot be read: wrong keys"),
        (
            lambda text: text.replace('status = "partly extrapolated"', 'status = "guessed"'),
            r"'guessed' is not a valid Status",
        ),
        (lambda _: "", "cannot be read"),
    ],
)
def test_an_invalid_file_is_rejected(calibration: Calibration, tmp_path: Path, change, message: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "calibration.toml"
    path.write_text(change(render(calibration)), encoding="utf-8")
    with pytest.raises(CalibrationError, match=message):
        load(path, SHA256)


def test_a_missing_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"is missing: run `\S*compareface calibrate`"):
        load(tmp_path / "calibration.toml", SHA256)
