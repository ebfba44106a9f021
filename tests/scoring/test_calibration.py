from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.scoring.calibration import (
    FARS,
    Calibration,
    CalibrationError,
    genuine_points,
    impostor_points,
    load,
    render,
)
from app.scoring.pairs import PairCounts, count_pairs

_SHA = "ab" * 32


@pytest.fixture(scope="module")
def counts() -> PairCounts:
    """1,500 drawn people, four pictures of each: 18 million pairs."""
    rng = np.random.default_rng(3)
    rows = np.repeat(rng.normal(size=(1500, 24)), 4, axis=0) + 0.45 * rng.normal(size=(6000, 24))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return count_pairs(rows.astype(np.float32), [str(i // 4) for i in range(6000)])


@pytest.fixture(scope="module")
def made(counts: PairCounts) -> Calibration:
    return Calibration(
        pack="drawn",
        embedder_sha256=_SHA,
        data='drawn "people" of C:\\users\\\u5f20\U00020bb7\x7f',
        date="2026-11-22",
        people=1500,
        pictures=6000,
        not_found=0,
        impostor_pairs=counts.impostor_pairs,
        genuine_pairs=counts.genuine_pairs,
        impostor=impostor_points(counts),
        genuine=genuine_points(counts),
    )


def test_the_cosines_hold_their_false_accept_rates(counts: PairCounts, made: Calibration) -> None:
    assert [point.far for point in made.impostor] == list(FARS)
    for point in made.impostor[:-1]:
        assert counts.far(point.cosine) <= point.far
        assert counts.far(point.cosine) == pytest.approx(point.far, rel=0.1)


def test_what_is_written_is_read_again(made: Calibration, tmp_path: Path) -> None:
    path = tmp_path / "calibration.toml"
    path.write_text(render(made), encoding="utf-8")
    again = load(path, _SHA)
    assert again == made


def test_rates_between_the_measured_ones_are_interpolated(made: Calibration) -> None:
    for tar in (0.9, 0.5, 0.33):
        assert made.tar_at_cosine(made.cosine_at_tar(tar)) == pytest.approx(tar)


def test_what_few_pairs_stand_behind_is_extrapolated_and_says_so(counts: PairCounts, made: Calibration) -> None:
    assert [point.far for point in made.impostor if point.is_extrapolated] == [1e-6]
    assert made.errors(made.impostor[-1]) == pytest.approx(counts.impostor_pairs / 1e6)
    assert counts.far(made.impostor[-1].cosine) == pytest.approx(1e-6, rel=0.6)


def test_a_sample_says_about_the_same_as_the_whole(counts: PairCounts, made: Calibration) -> None:
    """A hundredth of the pairs: FAR 1e-4 and less are read off the fitted tail."""
    sample = PairCounts(counts.genuine, np.random.default_rng(1).binomial(counts.impostor, 0.01))
    points = impostor_points(sample)
    assert [point.is_extrapolated for point in points] == [False] * 4 + [True] * 3
    for point, whole in zip(points, made.impostor, strict=True):
        assert counts.far(point.cosine) == pytest.approx(point.far, rel=0.5 if whole.far > 1e-6 else 1.0)


@pytest.mark.parametrize("people", [["a"] * 40, [str(i) for i in range(40)]])
def test_one_kind_of_pair_is_not_enough(people: list[str]) -> None:
    counts = count_pairs(np.eye(40, dtype=np.float32), people)
    with pytest.raises(CalibrationError, match=r"needs (300 pairs of different people; there are 0|two pictures)"):
        impostor_points(counts) if len(set(people)) == 1 else genuine_points(counts)


@pytest.mark.parametrize("points", [impostor_points, genuine_points])
def test_faces_that_all_look_alike_are_refused(points: Callable[[PairCounts], object]) -> None:
    rows = np.ones((1500, 1), dtype=np.float32)
    with pytest.raises(CalibrationError, match="coincide"):
        points(count_pairs(rows, [str(i // 2) for i in range(1500)]))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: text.replace(_SHA, "cd" * 32), "another embedder"),
        (lambda text: text.replace("[about]", "[about"), "cannot be read"),
        (lambda text: text.replace("people = ", "persons = "), "cannot be read"),
        (lambda text: text.replace("far = 0.001", "far = 0.002"), "FARs"),
        (lambda text: re.sub("cosine = .*", "cosine = 0.5", text), "ascending"),
        (lambda text: text.replace("[[genuine]]", "[[genuine]]\ntar = 0.5\ncosine = 0.5\n[[genuine]]", 2), "TARs"),
        (lambda text: text.partition("[[genuine]]")[0], "cannot be read"),
        (lambda _: "", "cannot be read"),
    ],
)
def test_a_file_that_is_not_sound_is_refused(made: Calibration, tmp_path: Path, change, complaint: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "calibration.toml"
    path.write_text(change(render(made)), encoding="utf-8")
    with pytest.raises(CalibrationError, match=complaint):
        load(path, _SHA)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"is missing: run `\S*compareface calibrate`"):
        load(tmp_path / "calibration.toml", _SHA)
