"""``compareface evaluate`` on real models and real faces."""

import json
import re
from pathlib import Path

import pytest

from app.cli import main
from app.packs.store import Store
from app.tools.evaluation.gallery import list_images
from tests.cli.people import link_people, listed_pairs, one_person
from tests.support.images import cast, jpeg


@pytest.mark.shared
def test_all_pairs_are_reported(tmp_path: Path, shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = link_people(tmp_path, shared, 40)
    assert main(["evaluate", str(folder), "--json"]) == 0
    output = capsys.readouterr()
    assert "warning: too few people to measure the FAR at 40 (0.1 %), 50 (0.01 %) and 60 (0.001 %)" in output.err
    report = json.loads(output.out)
    images = len(list_images(folder))
    assert (report["pack"], report["population"]) == ("open", "general")
    assert report["calibrated_on"].startswith("LFW")
    assert (report["people"], report["images"], report["not_found"]) == (40, images, 0)
    assert report["genuine"] + report["impostor"] == images * (images - 1) // 2
    rows = [row for row in report["scores"] if row["version"] == "3.0"]
    assert [row["score"] for row in rows] == [40, 50, 60, 70, 80, 85, 90]
    assert rows[0]["far_fraction"]["value"] < 0.01
    assert rows[0]["far_fraction"]["low"] < rows[0]["far_fraction"]["value"] < rows[0]["far_fraction"]["high"]
    tars = [row["tar_fraction"]["value"] for row in rows]
    assert tars[0] > 0.85
    assert tars == sorted(tars, reverse=True)
    assert report["accuracy_fraction"] > 0.96
    assert main(["evaluate", str(folder), "--pack", "open", "--population", "matched"]) == 0
    printed = capsys.readouterr().out
    assert "score 80 on 3.0:  FAR " in printed
    assert "population    matched\n" in printed
    assert "calibration   partly extrapolated\n" in printed
    assert re.search(
        r"^score 60 on 3.0:  FAR < 0.\d+ % \(0 of [\d,]+\)  TAR [\d.]+ % \[[\d.]+, [\d.]+\]$", printed, re.MULTILINE
    )


@pytest.mark.shared
def test_listed_pairs_are_evaluated(tmp_path: Path, shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    impostor_pairs = listed_pairs(tmp_path / "cases.txt", shared)
    assert main(["evaluate", "--pairs", str(tmp_path / "cases.txt"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["genuine"], report["impostor"]) == (20, impostor_pairs)
    assert report["scores"][0]["tar_fraction"]["value"] > 0.7


def test_a_folder_or_a_list_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate"]) == 1
    assert "name a folder of faces, or a list of pairs" in capsys.readouterr().err


def test_a_population_that_the_calibration_lacks_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(one_person(tmp_path)), "--pack", "opencv", "--population", "matched"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("compareface: the calibration of pack opencv has no population matched (only general): run")
    assert error.count("\n") == 1


def test_a_folder_without_images_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(tmp_path)]) == 1
    assert "contains no images" in capsys.readouterr().err


def test_a_folder_without_pairs_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(one_person(tmp_path)), "--json"]) == 1
    assert "no pairs to compare" in capsys.readouterr().err


@pytest.fixture
def _calibration_on_my_faces(weights_of_open: Path, store: Store) -> None:
    shipped = store.calibration_path("open").read_text(encoding="utf-8")
    installed = re.sub('data = ".*"', 'data = "my_faces"', shipped, count=1)
    (weights_of_open / "open/calibration.own.toml").write_text(installed)


@pytest.mark.usefixtures("_calibration_on_my_faces")
@pytest.mark.parametrize(("name", "is_own"), [("my_faces", True), ("others", False)])
def test_an_evaluation_on_the_data_of_the_calibration_is_marked(
    name: str, is_own: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (one_person(folder) / "cast").mkdir()
    (folder / "cast/1.jpg").write_bytes(jpeg(cast()))
    assert main(["evaluate", str(folder)]) == 0
    warning = "warning: the active calibration was measured on my_faces: use other people to check it"
    assert (warning in capsys.readouterr().err) == is_own
