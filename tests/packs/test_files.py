import errno
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.packs import files
from app.packs.manifest import PackError

_CONTENT = bytes(7_000_000)


def _stored_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_new_file_has_the_permissions_of_the_umask(tmp_path: Path) -> None:
    files.write(tmp_path / "a" / "b", _CONTENT)
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, r"No space left on device\. The file needs 7 MB there"),
        (errno.EDQUOT, "The file needs 7 MB there"),
        (errno.EROFS, r"Read-only file system\. .*COMPAREFACE_MODELS__WEIGHTS_DIR"),
        (errno.EACCES, "COMPAREFACE_MODELS__WEIGHTS_DIR"),
    ],
)
def test_a_failed_write_leaves_no_file_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(PackError, match=advice):
        files.write(tmp_path / "a" / "b", _CONTENT)
    assert _stored_files(tmp_path) == []


def test_an_interrupted_write_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write(tmp_path / "a" / "b", _CONTENT)
    assert _stored_files(tmp_path) == []


@pytest.fixture
def read_only_folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o555)
    yield folder
    folder.chmod(0o755)


@pytest.mark.skipif(os.geteuid() == 0, reason="root has write permission everywhere")
def test_a_read_only_folder_is_reported(read_only_folder: Path) -> None:
    with pytest.raises(PackError, match=r"Permission denied\. .*COMPAREFACE_MODELS__WEIGHTS_DIR"):
        files.write(read_only_folder / "a" / "b", _CONTENT)


def test_a_file_in_place_of_the_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(PackError, match="Not a directory"):
        files.write(tmp_path / "a" / "b" / "c", _CONTENT)


@pytest.mark.parametrize("text", ['a "b" \\', "\u5f20\U00020bb7", "\x7f\n\x00"])
def test_a_toml_value_loads_unchanged(text: str) -> None:
    assert tomllib.loads(f"key = {files.toml_value(text)}")["key"] == text


def test_a_toml_value_escapes_bytes_that_are_not_text() -> None:
    name = files.toml_value(os.fsdecode(b"a\xff"))
    assert tomllib.loads(f"name = {name}") == {"name": r"a\udcff"}
