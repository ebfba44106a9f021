"""``compareface inspect`` on real models and real faces."""

import io
import json
import os
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
    """Return the current directory, which has a subfolder for photos."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    return tmp_path


def _save(folder: Path, image: Image) -> str:
    path = folder / "photos" / "a.jpg"
    path.write_bytes(jpeg(image))
    return str(path)


def _count_pixels(drawing: Path, colour: tuple[int, int, int]) -> int:
    image = cv2.imread(str(drawing))
    assert image is not None
    return int((image[..., ::-1] == colour).all(axis=2).sum())


def test_numbers_are_printed_and_the_drawing_is_in_the_current_folder(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", _save(folder, astronaut())]) == 0
    output = capsys.readouterr().out
    assert [row for row in _ROWS if f"\n  {row} " not in output] == []
    assert "Face 1, compared: confidence 0.9" in output
    assert "eyes 44 px apart" in output
    assert output.endswith("1 face, drawn in a.jpg.inspect.png\n")
    assert _count_pixels(folder / "a.jpg.inspect.png", COMPARED) > 1000
    assert _count_pixels(folder / "a.jpg.inspect.png", SHOWN) < 200, "only in the legend"


def test_the_table_has_four_faces_and_begins_with_the_target_face(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPAREFACE_COMPARE__MATCHING_STRATEGY", "0")  # highest confidence, not the largest
    assert main(["inspect", _save(folder, cast()), "--out", "b.png"]) == 0
    output = capsys.readouterr().out
    assert output.count("Problems:") == 4
    assert output.count("compared") == 1
    assert output.startswith("Face 1, compared")
    assert output.endswith("6 faces (4 in the table), drawn in b.png\n")
    assert _count_pixels(folder / "b.png", SHOWN) > 1000


def test_json_has_the_names_of_the_api(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", _save(folder, astronaut()), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    (face,) = printed["Faces"]
    assert printed["Out"] == "a.jpg.inspect.png"
    assert printed["FaceNum"] == 1
    assert set(face["FaceQualityInfo"]) == {"Score", "Sharpness", "Brightness", "Completeness"}
    assert set(face["FaceQualityInfo"]["Completeness"]) == set(_ROWS[3:])
    assert face["Compared"] is True
    assert 0 <= face["QualityControl"] <= 4


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_a_rotated_face_has_the_quality_of_the_upright_face(
    folder: Path, capsys: pytest.CaptureFixture[str], quarter_turns: int
) -> None:
    faces = []
    for image in (astronaut(), np.ascontiguousarray(np.rot90(astronaut(), quarter_turns))):
        assert main(["inspect", _save(folder, image), "--rotate", "--json", "--out", "b.png"]) == 0
        faces.append(json.loads(capsys.readouterr().out)["Faces"][0])
    upright, rotated = faces
    assert (rotated["Roll"] - upright["Roll"] + 90 * quarter_turns + 180) % 360 - 180 == pytest.approx(0, abs=3)
    assert rotated["FaceQualityInfo"]["Completeness"]["Mouth"] == pytest.approx(
        upright["FaceQualityInfo"]["Completeness"]["Mouth"], abs=10
    )
    assert rotated["Grade"] == upright["Grade"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "a.jpg: No such file"),
        (b"", "InvalidParameterValue.ImageEmpty: "),
        (b"not an image", "FailedOperation.ImageDecodeFailed: "),
        (bytes(5 * 2**20), "FailedOperation.ImageSizeExceed: "),
        (jpeg(np.full((100, 100, 3), 90, dtype=np.uint8)), "InvalidParameterValue.NoFaceInPhoto: "),
        (jpeg(np.ascontiguousarray(np.rot90(astronaut()))), "InvalidParameterValue.NoFaceInPhoto: "),
    ],
    ids=["absent", "empty", "text", "too large", "no face", "sideways without --rotate"],
)
def test_an_unusable_photo_is_reported_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], data: bytes | None, message: str
) -> None:
    photo = folder / "photos" / "a.jpg"
    if data is not None:
        photo.write_bytes(data)
    assert main(["inspect", str(photo)]) == 1
    output = capsys.readouterr().err
    assert output.startswith("compareface: ")
    assert message in output
    assert output.count("\n") == 1
    assert not (folder / "a.jpg.inspect.png").exists()


def test_the_photo_is_never_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = Path(_save(folder, astronaut()))
    before = photo.read_bytes()
    (folder / "link.png").symlink_to(photo)
    for out in (str(photo), "photos/../photos/a.jpg", "link.png"):
        assert main(["inspect", str(photo), "--out", out]) == 1
        assert "is the photo itself" in capsys.readouterr().err
    assert photo.read_bytes() == before


def test_a_drawing_of_another_photo_is_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawing = folder / "a.jpg.inspect.png"
    drawing.write_bytes(b"of another photo")
    assert main(["inspect", _save(folder, astronaut())]) == 1
    assert "a.jpg.inspect.png exists" in capsys.readouterr().err
    assert drawing.read_bytes() == b"of another photo"


def test_a_full_disk_is_reported_with_the_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", _save(folder, astronaut()), "--out", "/dev/full"]) == 1
    assert capsys.readouterr().err == "compareface: /dev/full: No space left on device\n"


def test_a_missing_output_folder_is_reported_in_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", _save(folder, astronaut()), "--out", "absent/b.png"]) == 1
    assert capsys.readouterr().err == "compareface: absent/b.png: No such file or directory\n"


@pytest.mark.parametrize("encoding", ["utf-8", "gbk", "ascii"])
@pytest.mark.parametrize("name", [b"\xff.jpg", "é中.jpg".encode()])
def test_a_file_name_need_not_be_text_in_the_encoding_of_the_terminal(
    folder: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, name: bytes
) -> None:
    photo = Path(os.fsdecode(name))
    photo.write_bytes(jpeg(astronaut()))
    stdout = io.TextIOWrapper(io.BytesIO(), encoding)
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", stdout)
        assert main(["inspect", str(photo)]) == 0
    stdout.seek(0)
    shown = f"{photo}.inspect.png".encode(encoding, errors="backslashreplace").decode(encoding)
    assert stdout.read().endswith(f"1 face, drawn in {shown}\n")
