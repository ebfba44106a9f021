"""``compare``, ``evaluate`` and ``calibrate`` on real models and real faces."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from app.cli import main
from app.packs.manifest import Pack
from app.scoring import calibration
from app.scoring.pairs import count_pairs
from app.tools.evaluation.gallery import Gallery, list_images
from app.tools.evaluation.measure import Measurement
from tests.support.images import another_shot, astronaut, cast, jpeg


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("pictures")
    pictures = {
        "astronaut": jpeg(astronaut()),
        "same": jpeg(another_shot(astronaut())),
        "cast": jpeg(cast()),
        "blank": jpeg(np.full((100, 100, 3), 90, dtype=np.uint8)),
    }
    for name, data in pictures.items():
        (folder / f"{name}.jpg").write_bytes(data)
    return {name: str(folder / f"{name}.jpg") for name in pictures}


def test_compare_prints_the_score(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", files["astronaut"], files["astronaut"]]) == 0
    assert "score 100.00 of 100" in capsys.readouterr().out


def test_compare_prints_json_on_request(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", files["astronaut"], files["same"], "--json", "--face-model-version", "2.0"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert set(printed) == {"Score", "FaceModelVersion", "Cosine"}
    assert printed["Score"] > 90
    assert printed["FaceModelVersion"] == "2.0"


@pytest.mark.parametrize(
    ("a", "b", "complaint"),
    [
        ("blank", "astronaut", "InvalidParameterValue.NoFaceInPhoto: There are no faces in the image. (image A)"),
        ("astronaut", "/absent.jpg", "/absent.jpg: No such file"),
        (
            "astronaut",
            "http://127.0.0.1/a.jpg",
            "[not a public address and port, nor named by COMPAREFACE_FETCH__ALLOW]",
        ),
    ],
)
def test_compare_says_in_one_line_what_is_wrong(
    files: dict[str, str], capsys: pytest.CaptureFixture[str], a: str, b: str, complaint: str
) -> None:
    assert main(["compare", files.get(a, a), files.get(b, b), "--face-matching-strategy", "0"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("compareface: ")
    assert complaint in said
    assert said.count("\n") == 1


def _faces(folder: Path, shared: Path, people: int) -> Path:
    """A gallery of people of LFW with at least two pictures each."""
    several = [person for person in sorted((shared / "data/lfw").iterdir()) if len(list(person.iterdir())) > 1]
    chosen = several[:people]
    assert len(chosen) == people
    for person in chosen:
        (folder / person.name).symlink_to(person)
    return folder


@pytest.mark.shared
def test_evaluate_reports_all_pairs(tmp_path: Path, shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = _faces(tmp_path, shared, 40)
    assert main(["evaluate", str(folder), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    pictures = len(list_images(folder))
    assert report["pack"] == "open"
    assert (report["people"], report["pictures"], report["not_found"]) == (40, pictures, 0)
    assert report["genuine"] + report["impostor"] == pictures * (pictures - 1) // 2
    rows = [row for row in report["scores"] if row["version"] == "3.0"]
    assert [row["score"] for row in rows] == [40, 50, 60, 70, 80, 85, 90]
    assert rows[0]["far"]["value"] < 0.01
    assert rows[0]["far"]["low"] < rows[0]["far"]["value"] < rows[0]["far"]["high"]
    tars = [row["tar"]["value"] for row in rows]
    assert tars[0] > 0.85
    assert tars == sorted(tars, reverse=True)
    assert report["accuracy"] > 0.96
    assert main(["evaluate", str(folder), "--pack", "open"]) == 0
    assert "score 80 on 3.0:  FAR " in capsys.readouterr().out


@pytest.mark.shared
def test_calibrate_writes_a_table_that_loads(
    tmp_path: Path, shared: Path, pack: Pack, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "faces").mkdir()
    folder = _faces(tmp_path / "faces", shared, 60)
    out, report = tmp_path / "calibration.toml", tmp_path / "report.html"
    assert main(["calibrate", str(folder), "--out", str(out), "--report", str(report)]) == 0
    said = capsys.readouterr()
    assert "and less are extrapolated" in said.err
    assert "impostor" in said.out
    measured = calibration.load(out, pack.embedder_sha256)
    assert (measured.people, measured.data) == (60, "faces")
    assert all(point.interval[0] < point.cosine < point.interval[1] for point in measured.impostor if point.interval)
    assert sum(point.interval is not None for point in measured.impostor) == len(measured.impostor)
    assert report.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.shared
def test_listed_pairs_can_be_calibrated_on_and_evaluated(
    tmp_path: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = [list_images(shared / "data/lfw")[i : i + 1][0] for i in range(0, 400, 8)]
    several = [sorted(person.iterdir())[:2] for person in sorted((shared / "data/lfw").iterdir())]
    genuine = [pair for pair in several if len(pair) == 2][:20]
    lines = [f"{a} {b} same" for a, b in genuine]
    lines += [f"{a} {b} different" for i, a in enumerate(people) for b in people[i + 1 :] if a.parent != b.parent]
    file = tmp_path / "cases.txt"
    file.write_text("\n".join(lines))
    out = tmp_path / "calibration.toml"
    assert main(["calibrate", "--pairs", str(file), "--out", str(out), "--report", str(tmp_path / "r.html")]) == 0
    assert 'data = "cases.txt"' in out.read_text()
    capsys.readouterr()
    assert main(["evaluate", "--pairs", str(file), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["genuine"], report["impostor"]) == (20, len(lines) - 20)
    assert report["scores"][0]["tar"]["value"] > 0.7


def test_a_folder_or_a_list_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate"]) == 1
    assert "name a folder of faces, or a list of pairs" in capsys.readouterr().err


@pytest.mark.shared
def test_calibrate_says_when_the_faces_are_too_few(
    tmp_path: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["calibrate", str(_faces(tmp_path, shared, 3))]) == 1
    assert "needs 300 pairs of different people" in capsys.readouterr().err


def test_calibrate_prints_the_table_of_what_was_measured(
    tmp_path: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The measurement itself needs real faces by the thousand: here they are drawn."""
    rng = np.random.default_rng(5)
    rows = np.repeat(rng.normal(size=(800, 24)), 2, axis=0) + 0.45 * rng.normal(size=(1600, 24))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    people = tuple(str(i // 2) for i in range(1600))
    gallery = Gallery(rows.astype(np.float32), (Path("x.jpg"),) * 1600, people, {})
    measured = Measurement(count_pairs(gallery.embeddings, people), gallery)
    monkeypatch.setattr("app.tools.evaluation.measure.measure", lambda *_: measured)
    assert main(["calibrate", str(tmp_path), "--data", 'my "own" faces']) == 0
    out = tmp_path / "calibration.toml"
    out.write_text(capsys.readouterr().out, encoding="utf-8")
    table = calibration.load(out, pack.embedder_sha256)
    assert (table.people, table.pictures, table.data) == (800, 1600, 'my "own" faces')
    assert main(["calibrate", str(tmp_path), "--out", str(tmp_path / "absent" / "x.toml")]) == 1
    assert "absent: No such folder" in capsys.readouterr().err
    monkeypatch.setenv("COMPAREFACE_MODELS__WEIGHTS_DIR", str(tmp_path / "weights"))
    assert main(["calibrate", str(tmp_path), "--install"]) == 0
    assert calibration.load(tmp_path / "weights/open/calibration.own.toml", pack.embedder_sha256).people == 800


def test_a_table_that_makes_no_scale_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Genuine pairs that all lie below the strangers' tail."""
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(1600, 8))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    people = tuple(str(i // 2) for i in range(1600))
    gallery = Gallery(rows.astype(np.float32), (Path("x.jpg"),) * 1600, people, {})
    measured = Measurement(count_pairs(gallery.embeddings, people), gallery)
    monkeypatch.setattr("app.tools.evaluation.measure.measure", lambda *_: measured)
    out = tmp_path / "calibration.toml"
    assert main(["calibrate", str(tmp_path), "--out", str(out)]) == 1
    assert "gives no increasing scale: use more people" in capsys.readouterr().err
    assert not out.exists()


def test_a_folder_without_faces_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("evaluate", "calibrate"):
        assert main([command, str(tmp_path)]) == 1
        assert "contains no images" in capsys.readouterr().err


def test_a_folder_without_pairs_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "collins").mkdir()
    (tmp_path / "collins/1.jpg").write_bytes(jpeg(astronaut()))
    (tmp_path / "collins/2.jpg").write_bytes(jpeg(another_shot(astronaut())))
    assert main(["evaluate", str(tmp_path), "--json"]) == 1
    assert "there are no pairs" in capsys.readouterr().err
    assert main(["calibrate", str(tmp_path)]) == 1
    assert "needs 300 pairs of different people" in capsys.readouterr().err
