"""``compareface inspect`` on real models and real faces."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.cli import main
from app.domain import Image
from app.tools.inspect.drawing import COMPARED, SHOWN
from tests.support.images import astronaut, cast, jpeg

_ROWS = ("Score", "Sharpness", "Brightness", "Eyebrow", "Eye", "Nose", "Cheek", "Mouth", "Chin")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with a sub-folder of pictures."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    return tmp_path


def _save(folder: Path, image: Image) -> str:
    path = folder / "photos" / "a.jpg"
    path.write_bytes(jpeg(image))
    return str(path)


def _pixels(drawn: Path, colour: tuple[int, int, int]) -> int:
    image = cv2.imread(str(drawn))
    assert image is not None
    return int((image[..., ::-1] == colour).all(axis=2).sum())


def test_the_numbers_are_printed_and_the_picture_lies_here(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", _save(folder, astronaut())]) == 0
    said = capsys.readouterr().out
    assert [row for row in _ROWS if f"\n  {row} " not in said] == []
    assert "Face 1, compared: confidence 0.9" in said
    assert "eyes 44 px apart" in said
    assert said.endswith("1 face, drawn in a.inspect.png\n")
    assert _pixels(folder / "a.inspect.png", COMPARED) > 1000
    assert _pixels(folder / "a.inspect.png", SHOWN) == 0


def test_of_several_faces_four_have_a_row_and_the_compared_one_is_first(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPAREFACE_COMPARE__MATCHING_STRATEGY", "0")  # the most confident, here not the largest
    assert main(["inspect", _save(folder, cast()), "--out", "b.png"]) == 0
    said = capsys.readouterr().out
    assert said.count("Problems:") == 4
    assert said.count("compared") == 1
    assert said.startswith("Face 1, compared")
    assert said.endswith("6 faces (4 told), drawn in b.png\n")
    assert _pixels(folder / "b.png", SHOWN) > 1000


def test_json_has_the_names_of_the_wire(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", _save(folder, astronaut()), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    (face,) = printed["Faces"]
    assert printed["Out"] == "a.inspect.png"
    assert printed["FaceNum"] == 1
    assert set(face["FaceQualityInfo"]) == {"Score", "Sharpness", "Brightness", "Completeness"}
    assert set(face["FaceQualityInfo"]["Completeness"]) == set(_ROWS[3:])
    assert face["Compared"] is True
    assert 0 <= face["QualityControl"] <= 4


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_face_is_judged_as_if_it_stood_upright(
    folder: Path, capsys: pytest.CaptureFixture[str], turns: int
) -> None:
    found = []
    for image in (astronaut(), np.ascontiguousarray(np.rot90(astronaut(), turns))):
        assert main(["inspect", _save(folder, image), "--rotate", "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out)["Faces"][0])
    upright, turned = found
    assert (turned["Roll"] - upright["Roll"] + 90 * turns + 180) % 360 - 180 == pytest.approx(0, abs=3)
    assert turned["FaceQualityInfo"]["Completeness"]["Mouth"] == pytest.approx(
        upright["FaceQualityInfo"]["Completeness"]["Mouth"], abs=10
    )
    assert turned["Grade"] == upright["Grade"]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (None, "a.jpg: No such file"),
        (b"", "InvalidParameterValue.ImageEmpty: "),
        (b"no picture", "FailedOperation.ImageDecodeFailed: "),
        (bytes(5 * 2**20), "FailedOperation.ImageSizeExceed: "),
        (jpeg(np.full((100, 100, 3), 90, dtype=np.uint8)), "InvalidParameterValue.NoFaceInPhoto: "),
        (jpeg(np.ascontiguousarray(np.rot90(astronaut()))), "InvalidParameterValue.NoFaceInPhoto: "),
    ],
    ids=["absent", "empty", "text", "too large", "no face", "sideways without --rotate"],
)
def test_what_is_wrong_with_a_photo_is_said_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], data: bytes | None, complaint: str
) -> None:
    photo = folder / "photos" / "a.jpg"
    if data is not None:
        photo.write_bytes(data)
    assert main(["inspect", str(photo)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("compareface: ")
    assert complaint in said
    assert said.count("\n") == 1
    assert not (folder / "a.inspect.png").exists()


def test_the_photo_is_never_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = Path(_save(folder, astronaut()))
    before = photo.read_bytes()
    (folder / "link.png").symlink_to(photo)
    for out in (str(photo), "photos/../photos/a.jpg", "link.png"):
        assert main(["inspect", str(photo), "--out", out]) == 1
        assert "is the picture itself" in capsys.readouterr().err
    assert photo.read_bytes() == before


def test_a_folder_that_is_not_there_is_said_in_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", _save(folder, astronaut()), "--out", "absent/b.png"]) == 1
    assert capsys.readouterr().err == "compareface: absent/b.png: No such file or directory\n"
