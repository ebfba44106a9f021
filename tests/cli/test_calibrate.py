"""``compareface calibrate`` on real models, real faces and random embeddings."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.cli import main
from app.domain import Population
from app.packs.manifest import Pack
from app.scoring import calibration
from app.tools.evaluation.gallery import Gallery
from app.tools.evaluation.measure import Measurement
from app.tools.evaluation.pairs import count_pairs
from app.tools.evaluation.sample_size import people_needed
from tests.cli.people import link_groups, link_people, listed_pairs, one_person


@pytest.mark.shared
def test_a_table_and_a_report_are_written(
    tmp_path: Path, shared: Path, pack: Pack, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "faces").mkdir()
    folder = link_people(tmp_path / "faces", shared, 60)
    out, report = tmp_path / "calibration.toml", tmp_path / "report.html"
    assert main(["calibrate", str(folder), "--out", str(out), "--report", str(report)]) == 0
    output = capsys.readouterr()
    assert "population general: too few people to measure the FAR at 40 (0.1 %), 50 (0.01 %)" in output.err
    assert "Those scores are extrapolated" in output.err
    assert 'status = "partly extrapolated"' in out.read_text()
    assert "impostor" in output.out
    table = calibration.load(out, pack.embedder_sha256).table(Population.GENERAL)
    assert (table.people, table.data) == (60, "faces")
    assert all(point.interval[0] < point.cosine < point.interval[1] for point in table.impostor if point.interval)
    assert sum(point.interval is not None for point in table.impostor) == len(table.impostor)
    page = report.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert ">Partly extrapolated</span>" in page
    assert re.search(r"&lt; 0.\d+ % \(0 of [\d,]+\)", page)


@pytest.mark.shared
def test_a_calibration_is_measured_on_listed_pairs(tmp_path: Path, shared: Path) -> None:
    file, out = tmp_path / "cases.txt", tmp_path / "calibration.toml"
    listed_pairs(file, shared)
    assert main(["calibrate", "--pairs", str(file), "--out", str(out), "--report", str(tmp_path / "r.html")]) == 0
    assert 'data = "cases.txt"' in out.read_text()


@pytest.mark.shared
def test_too_few_faces_are_refused(tmp_path: Path, shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", str(link_people(tmp_path, shared, 3))]) == 1
    assert "needs 300 pairs of different people" in capsys.readouterr().err


def _measured(embeddings: NDArray[np.float64]) -> Measurement:
    """Return the pairs of ``embeddings``, two of each person, after normalising them; no image name is text."""
    embeddings = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    people = tuple(str(row // 2) for row in range(len(embeddings)))
    gallery = Gallery(embeddings.astype(np.float32), (Path(os.fsdecode(b"\xff.jpg")),) * len(embeddings), people, {})
    return Measurement(count_pairs(gallery.embeddings, people), gallery)


def test_the_table_is_printed_written_or_installed(
    tmp_path: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table needs thousands of faces, so their embeddings are random."""
    rng = np.random.default_rng(5)
    measured = _measured(np.repeat(rng.normal(size=(800, 24)), 2, axis=0) + 0.45 * rng.normal(size=(1600, 24)))
    monkeypatch.setattr("app.cli.calibrate.measure", lambda *_, **__: measured)
    assert main(["calibrate", str(tmp_path), "--data", 'my "own" faces']) == 0
    out = tmp_path / "calibration.toml"
    out.write_text(capsys.readouterr().out, encoding="utf-8")
    table = calibration.load(out, pack.embedder_sha256).table(Population.GENERAL)
    assert (table.people, table.images, table.data) == (800, 1600, 'my "own" faces')
    assert main(["calibrate", str(tmp_path), "--report", "/dev/full"]) == 1
    assert capsys.readouterr().err.endswith("compareface: /dev/full: No space left on device\n")
    assert main(["calibrate", str(tmp_path), "--out", str(tmp_path / "absent" / "x.toml")]) == 1
    assert "absent: No such folder" in capsys.readouterr().err
    (tmp_path / "weights").mkdir()
    monkeypatch.setenv("COMPAREFACE_MODELS__WEIGHTS_DIR", str(tmp_path / "weights"))
    file = tmp_path / "weights/open/calibration.own.toml"
    assert main(["calibrate", str(tmp_path), "--install"]) == 1
    assert "not installed, because a FAR at 40, 50 or 60 is extrapolated" in capsys.readouterr().err
    assert not file.exists()
    assert main(["calibrate", str(tmp_path), "--install", "--allow-extrapolated"]) == 0
    assert capsys.readouterr().out.endswith(
        "The next start uses it; delete the file to restore the shipped calibration.\n"
    )
    assert calibration.load(file, pack.embedder_sha256).table(Population.GENERAL).people == 800


def test_a_measured_calibration_is_installed(
    tmp_path: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The number of people is the one that the README requires for 60."""
    people = people_needed(1e-5)
    rng = np.random.default_rng(5)
    rows = np.repeat(rng.normal(size=(people, 24)), 2, axis=0) + 0.45 * rng.normal(size=(2 * people, 24))
    monkeypatch.setattr("app.cli.calibrate.measure", lambda *_, **__: _measured(rows))
    (tmp_path / "weights").mkdir()
    monkeypatch.setenv("COMPAREFACE_MODELS__WEIGHTS_DIR", str(tmp_path / "weights"))
    folder, report = tmp_path / os.fsdecode(b"f\xff"), tmp_path / "report.html"
    assert main(["calibrate", str(folder), "--install", "--report", str(report)]) == 0
    assert "warning" not in capsys.readouterr().err
    installed = calibration.load(tmp_path / "weights/open/calibration.own.toml", pack.embedder_sha256)
    assert installed.status() is calibration.Status.MEASURED
    assert installed.table(Population.GENERAL).data == r"f\udcff"
    assert r"\udcff.jpg" in report.read_text(encoding="utf-8")


@pytest.mark.parametrize("user", ["COMPAREFACE_COMPARE__POPULATION", "the SecretId b"])
def test_a_calibration_without_the_selected_population_is_not_installed(
    user: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text('[callers.b]\npopulation = "matched"\nkeys = [{ label = "1", secret_key = "secret" }]\n')
    setting = ("COMPARE__POPULATION", "matched") if user.startswith("COMPAREFACE") else ("AUTH__KEYS_FILE", str(keys))
    monkeypatch.setenv(f"COMPAREFACE_{setting[0]}", setting[1])
    assert main(["calibrate", str(tmp_path), "--install"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"compareface: {user} selects the population matched, so the service would not start with")
    assert "add --groups" in error
    assert main(["calibrate", str(tmp_path), "--install", "--groups"]) == 1
    assert "contains no images" in capsys.readouterr().err


def test_a_table_without_a_valid_scale_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cosines of genuine pairs are not above those of impostor pairs."""
    measured = _measured(np.random.default_rng(5).normal(size=(1600, 8)))
    monkeypatch.setattr("app.cli.calibrate.measure", lambda *_, **__: measured)
    out = tmp_path / "calibration.toml"
    assert main(["calibrate", str(tmp_path), "--out", str(out)]) == 1
    assert "gives no increasing scale: use more people" in capsys.readouterr().err
    assert not out.exists()


def test_a_folder_without_images_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", str(tmp_path)]) == 1
    assert "contains no images" in capsys.readouterr().err


def test_one_person_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", str(one_person(tmp_path))]) == 1
    assert "needs 300 pairs of different people" in capsys.readouterr().err


@pytest.mark.shared
def test_groups_are_calibrated_and_reported(
    tmp_path: Path, shared: Path, pack: Pack, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "faces").mkdir()
    folder = link_groups(tmp_path / "faces", shared, {"north": 30, "south": 30})
    out, page = tmp_path / "calibration.toml", tmp_path / "report.html"
    assert main(["calibrate", str(folder), "--groups", "--out", str(out), "--report", str(page)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("FAR at 40 ") == 4
    assert "north, " in printed
    assert "population matched: " in printed
    loaded = calibration.load(out, pack.embedder_sha256)
    assert [group.name for group in loaded.table(Population.MATCHED).groups] == ["north", "south"]
    assert "<h2>FAR by group</h2>" in page.read_text(encoding="utf-8")
    capsys.readouterr()
    assert main(["calibrate", str(folder / "north"), "--groups"]) == 1
    assert "has no group: --groups needs folders GROUP/PERSON/IMAGE.jpg" in capsys.readouterr().err


@pytest.mark.shared
@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"north": 30, "south": 3}, "group south: a group needs 10 people; there are 3"),
        ({"north": 30, "south": 0}, None),
        ({"only": 30}, None),
    ],
)
def test_each_group_needs_enough_people(
    tmp_path: Path, shared: Path, capsys: pytest.CaptureFixture[str], sizes: dict[str, int], message: str | None
) -> None:
    """An empty folder is no group; one group is enough."""
    (tmp_path / "faces").mkdir()
    folder, out = link_groups(tmp_path / "faces", shared, sizes), tmp_path / "calibration.toml"
    out.write_text("previous")
    code = main(["calibrate", str(folder), "--groups", "--out", str(out)])
    if message is None:
        assert (code, out.read_text().count("[[matched.group]]")) == (0, 1)
    else:
        assert (code, out.read_text()) == (1, "previous")
        error = capsys.readouterr().err
        assert error.splitlines()[-1] == f"compareface: {message}"


@pytest.mark.shared
def test_people_in_two_groups_are_refused_and_nothing_is_overwritten(
    tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "faces").mkdir()
    folder = link_groups(tmp_path / "faces", shared, {"north": 12, "south": 12})
    twice = next((folder / "north").iterdir())
    (folder / "south" / twice.name).symlink_to(twice.resolve())
    monkeypatch.setenv("COMPAREFACE_MODELS__WEIGHTS_DIR", str(tmp_path / "weights"))
    installed = tmp_path / "weights/open/calibration.own.toml"
    installed.parent.mkdir(parents=True)
    installed.write_text("previous")
    assert main(["calibrate", str(folder), "--groups", "--install", "--report", str(tmp_path / "r.html")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"compareface: groups overlap: {twice.name} is in the groups north and south")
    assert error.count("\n") == 1
    assert installed.read_text() == "previous"
    assert not (tmp_path / "r.html").exists()


@pytest.mark.shared
def test_listed_pairs_may_have_groups(tmp_path: Path, shared: Path, pack: Pack) -> None:
    file, out = tmp_path / "cases.txt", tmp_path / "calibration.toml"
    listed_pairs(file, shared)
    lines = file.read_text().splitlines()
    file.write_text("\n".join(f"{line} {'site' if 'different' in line else '-'}" for line in lines))
    assert main(["calibrate", "--pairs", str(file), "--groups", "--out", str(out)]) == 0
    table = calibration.load(out, pack.embedder_sha256).table(Population.MATCHED)
    assert [group.name for group in table.groups] == ["site"]
