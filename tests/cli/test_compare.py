"""``compareface compare`` on real models and real faces."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from app.cli import main
from tests.support.images import another_shot, astronaut, cast, jpeg, shrunk


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("images")
    images = {
        "astronaut": jpeg(astronaut()),
        "same": jpeg(another_shot(astronaut())),
        "cast": jpeg(cast()),
        "blank": jpeg(np.full((100, 100, 3), 90, dtype=np.uint8)),
    }
    for name, data in images.items():
        (folder / f"{name}.jpg").write_bytes(data)
    return {name: str(folder / f"{name}.jpg") for name in images}


def test_the_score_is_printed(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", files["astronaut"], files["astronaut"]]) == 0
    assert "score 100.00 of 100" in capsys.readouterr().out


def test_json_is_printed_on_request(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", files["astronaut"], files["same"], "--json", "--face-model-version", "2.0"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert list(printed)[:6] == ["Score", "FaceModelVersion", "Population", "Cosine", "Degradation", "Notes"]
    assert printed["Notes"] == [[], []]
    assert [(row["Threshold"], row["IsSamePerson"], row["FarFraction"]) for row in printed["Thresholds"]] == [
        (70, True, 1e-3),
        (80, True, 1e-4),
        (90, True, 1e-5),
    ]
    assert printed["Calibration"]["Status"] == "measured"
    for face in printed["LargestFaces"].values():
        assert face["FaceQualityInfo"]["Score"] > 60
        assert face["Width"] > 40
    assert printed["Score"] > 90
    assert printed["FaceModelVersion"] == "2.0"


def test_notes_about_the_target_face_are_printed(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = tmp_path / "both.jpg"
    both.write_bytes(jpeg(np.concatenate([astronaut(), shrunk(another_shot(astronaut()), 512)], axis=1)))
    assert main(["compare", files["astronaut"], str(both)]) == 0
    assert "image B: another face has a comparable size" in capsys.readouterr().out
    assert main(["compare", str(both), files["astronaut"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["Notes"] == [["comparable_face"], []]
    assert main(["inspect", str(both), "--out", str(tmp_path / "out.png")]) == 0
    assert "Note: another face has a comparable size" in capsys.readouterr().out
    assert main(["inspect", str(both), "--out", str(tmp_path / "out.png"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["Notes"] == ["comparable_face"]


def test_the_population_is_selected_and_printed(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    scores = {}
    for population in ("general", "matched"):
        assert main(["compare", files["astronaut"], files["same"], "--population", population]) == 0
        printed = capsys.readouterr().out
        assert "(pack open, FaceModelVersion 3.0, cosine " in printed
        assert f"rates of the population {population}, " in printed
        scores[population] = float(printed.split()[1])
    assert scores["matched"] < scores["general"]


def test_the_verdict_at_each_threshold_is_printed(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    for image, person in (("same", "same person"), ("cast", "not the same person")):
        assert main(["compare", files["astronaut"], files[image]]) == 0
        lines = capsys.readouterr().out.splitlines()
        thresholds = [line for line in lines if line.startswith("threshold")]
        assert [re.split(" {2,}", line)[1] for line in thresholds] == [person] * 3
        assert [re.findall("FAR ([0-9.]+) %, ", line) for line in thresholds] == [["0.1"], ["0.01"], ["0.001"]]
        assert lines[-2].startswith("rates of the population general, measured: LFW")
        assert lines[-1] == "The pack open is for trying out and not for decisions about people: use the pack omz."
        assert "degraded" not in lines[1]
    assert main(["compare", files["astronaut"], files["same"], "--population", "matched"]) == 0
    assert capsys.readouterr().out.count("%, extrapolated, TAR") == 3


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ("blank", "astronaut", "InvalidParameterValue.NoFaceInPhoto: There are no faces in the image. (image A)"),
        ("astronaut", "/absent.jpg", "/absent.jpg: No such file"),
        (
            "astronaut",
            "http://127.0.0.1/a.jpg",
            "[not a public address and port, and not listed in COMPAREFACE_FETCH__ALLOW]",
        ),
    ],
)
def test_errors_are_printed_in_one_line(
    files: dict[str, str], capsys: pytest.CaptureFixture[str], a: str, b: str, message: str
) -> None:
    assert main(["compare", files.get(a, a), files.get(b, b), "--face-matching-strategy", "0"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("compareface: ")
    assert message in error
    assert error.count("\n") == 1
