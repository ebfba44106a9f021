from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from app.scoring.calibration import FARS, Calibration, CalibrationError, load, measured_points, render
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
    impostor, genuine = measured_points(counts)
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
        impostor=impostor,
        genuine=genuine,
    )


def test_the_cosines_hold_their_false_accept_rates(counts: PairCounts, made: Calibration) -> None:
    assert [far for far, _ in made.impostor] == list(FARS)
    for far, cosine in made.impostor:
        assert counts.far(cosine) <= far
        assert counts.far(cosine) == pytest.approx(far, rel=0.1)


def test_what_is_written_is_read_again(made: Calibration, tmp_path: Path) -> None:
    path = tmp_path / "calibration.toml"
    path.write_text(render(made), encoding="utf-8")
    again = load(path, _SHA)
    np.testing.assert_allclose(np.array(again.impostor), np.array(made.impostor), atol=1e-6)
    np.testing.assert_allclose(np.array(again.genuine), np.array(made.genuine), atol=1e-6)
    assert dataclasses.replace(again, impostor=made.impostor, genuine=made.genuine) == made


def test_rates_between_the_measured_ones_are_interpolated(made: Calibration) -> None:
    for tar in (0.9, 0.5, 0.33):
        assert made.tar_at_cosine(made.cosine_at_tar(tar)) == pytest.approx(tar)


def test_rates_that_rest_on_few_pairs_are_named(made: Calibration) -> None:
    assert made.rough_fars() == (1e-6,)


@pytest.mark.parametrize("people", [["a"] * 6, list("abcdef")])
def test_one_kind_of_pair_is_not_enough(people: list[str]) -> None:
    rows = np.eye(6, dtype=np.float32)
    with pytest.raises(CalibrationError, match="two people"):
        measured_points(count_pairs(rows, people))


def test_too_few_pairs_are_refused() -> None:
    rows = np.eye(6, dtype=np.float32)
    with pytest.raises(CalibrationError, match="12 pairs of different people: it takes 1,000,000"):
        measured_points(count_pairs(rows, list("aabbcc")))


def test_faces_that_all_look_alike_are_refused() -> None:
    rows = np.ones((1500, 1), dtype=np.float32)
    with pytest.raises(CalibrationError, match="coincide"):
        measured_points(count_pairs(rows, [str(i // 2) for i in range(1500)]))


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
    with pytest.raises(CalibrationError, match="cannot be read"):
        load(tmp_path / "calibration.toml", _SHA)
