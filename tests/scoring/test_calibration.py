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
from app.tools.evaluation.pairs import LabelledFaces, PairCounts, count_pairs
from tests.tools.evaluation.random_faces import SHA256, calibration_of, random_faces


@pytest.fixture(scope="module")
def faces() -> LabelledFaces:
    return random_faces(1500)


@pytest.fixture(scope="module")
def counts(faces: LabelledFaces) -> PairCounts:
    """18 million pairs."""
    return count_pairs(faces.embeddings, faces.people)


@pytest.fixture(scope="module")
def calibration(faces: LabelledFaces, counts: PairCounts) -> Calibration:
    return calibration_of(counts, faces, data='random "people" of C:\\users\\\u5f20\U00020bb7\x7f')


def test_the_cosine_of_each_far_accepts_that_share_of_impostors(counts: PairCounts, calibration: Calibration) -> None:
    assert [point.far for point in calibration.impostor] == list(FARS)
    for point in calibration.impostor[:-1]:
        assert counts.far(point.cosine) <= point.far
        assert counts.far(point.cosine) == pytest.approx(point.far, rel=0.1)


def test_a_rendered_calibration_loads_unchanged(calibration: Calibration, tmp_path: Path) -> None:
    path = tmp_path / "calibration.toml"
    path.write_text(render(calibration), encoding="utf-8")
    loaded = load(path, SHA256)
    assert loaded == calibration


def test_tars_between_measured_points_are_interpolated(calibration: Calibration) -> None:
    for tar in (0.9, 0.5, 0.33):
        assert calibration.tar_at_cosine(calibration.cosine_at_tar(tar)) == pytest.approx(tar)


def test_fars_with_too_few_pairs_are_marked_as_extrapolated(counts: PairCounts, calibration: Calibration) -> None:
    assert [point.far for point in calibration.impostor if point.is_extrapolated] == [1e-6]
    assert counts.far(calibration.impostor[-1].cosine) == pytest.approx(1e-6, rel=0.6)


def test_a_sample_of_the_pairs_gives_similar_points(counts: PairCounts, calibration: Calibration) -> None:
    """With a hundredth of the pairs, FAR 1e-4 and less are extrapolated with the fitted tail."""
    sample = PairCounts(counts.genuine, np.random.default_rng(1).binomial(counts.impostor, 0.01))
    points = impostor_points(sample)
    assert [point.is_extrapolated for point in points] == [False] * 4 + [True] * 3
    for point, reference in zip(points, calibration.impostor, strict=True):
        assert counts.far(point.cosine) == pytest.approx(point.far, rel=0.5 if reference.far > 1e-6 else 1.0)


@pytest.mark.parametrize("people", [["a"] * 40, [str(i) for i in range(40)]])
def test_a_calibration_needs_genuine_and_impostor_pairs(people: list[str]) -> None:
    counts = count_pairs(np.eye(40, dtype=np.float32), people)
    with pytest.raises(CalibrationError, match=r"needs (300 pairs of different people; there are 0|two images)"):
        impostor_points(counts) if len(set(people)) == 1 else genuine_points(counts)


@pytest.mark.parametrize("points", [impostor_points, genuine_points])
def test_identical_faces_are_rejected(points: Callable[[PairCounts], object]) -> None:
    rows = np.ones((1500, 1), dtype=np.float32)
    with pytest.raises(CalibrationError, match="coincide"):
        points(count_pairs(rows, [str(i // 2) for i in range(1500)]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace(SHA256, "cd" * 32), "another embedder"),
        (lambda text: text.replace("[about]", "[about"), "cannot be read"),
        (lambda text: text.replace("people = ", "persons = "), "cannot be read"),
        (lambda text: text.replace("far = 0.001", "far = 0.002"), "FARs"),
        (lambda text: re.sub("cosine = .*", "cosine = 0.5", text), "ascending"),
        (lambda text: text.replace("[[genuine]]", "[[genuine]]\ntar = 0.5\ncosine = 0.5\n[[genuine]]", 2), "TARs"),
        (lambda text: text.partition("[[genuine]]")[0], "cannot be read"),
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
