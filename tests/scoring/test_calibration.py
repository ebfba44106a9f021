import re
from pathlib import Path

import pytest

from app.scoring.calibration import Calibration, CalibrationError, load
from app.tools.evaluation.calibrate import render
from app.tools.evaluation.pairs import count_pairs
from tests.tools.evaluation.random_faces import SHA256, calibration_of, random_faces


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


def test_tars_between_measured_points_are_interpolated(calibration: Calibration) -> None:
    for tar in (0.9, 0.5, 0.33):
        assert calibration.tar_at_cosine(calibration.cosine_at_tar(tar)) == pytest.approx(tar)


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
