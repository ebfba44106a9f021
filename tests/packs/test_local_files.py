"""Pulling from local files and archives, including damaged and hostile ones."""

import os
import random
import stat
import time
import zipfile
from pathlib import Path

import pytest

from app.packs.manifest import Pack, PackError
from app.packs.pull import Origin, pull, read_member
from app.packs.store import Store
from tests.packs.mirror import (
    ARCHIVE,
    DETECTOR,
    EMBEDDER,
    INSTALLED,
    archive,
    flipped,
    stored_files,
    write_files,
)


@pytest.mark.parametrize(
    "contents",
    [
        {"tiny__zip": ARCHIVE},
        {"renamed__zip": ARCHIVE},
        {"packed__zip": archive({"a/b/embedder.onnx": EMBEDDER, "detector.onnx": DETECTOR})},
        {"one__zip": archive({"embedder.onnx": EMBEDDER}), "two__zip": archive({"detector.onnx": DETECTOR})},
        {"x__onnx": DETECTOR, "y__onnx": EMBEDDER},
        {"detector__onnx": DETECTOR, "packed__zip": archive({"embedder.onnx": EMBEDDER})},
        {"tiny__zip": ARCHIVE[:900], "detector__onnx": DETECTOR, "embedder__onnx": EMBEDDER},
    ],
)
def test_a_folder_with_the_content_under_any_name_installs_the_pack(
    tiny_store: Store, tiny_pack: Pack, tmp_path: Path, contents: dict[str, bytes]
) -> None:
    folder = write_files(tmp_path / "local", **contents)
    assert pull(tiny_store, tiny_pack, Origin(paths=(folder,))) == tiny_pack.files
    assert stored_files(tiny_store) == INSTALLED


def test_an_archive_installs_the_pack(tiny_store: Store, tiny_pack: Pack, tmp_path: Path) -> None:
    folder = write_files(tmp_path / "local", tiny__zip=ARCHIVE)
    pull(tiny_store, tiny_pack, Origin(paths=(folder / "tiny.zip",)))
    tiny_store.resolve(tiny_pack)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("embedder.onnx", flipped(EMBEDDER)),
        ("embedder.onnx", EMBEDDER[:-1]),
        ("embedder.onnx", EMBEDDER + b"x"),
        ("embedder.onnx", b""),
        ("tiny.zip", flipped(ARCHIVE)),
        ("tiny.zip", ARCHIVE[:-1]),
        ("tiny.zip", ARCHIVE[:200]),
    ],
)
def test_a_damaged_file_is_reported_by_name(
    tiny_store: Store, tiny_pack: Pack, tmp_path: Path, name: str, content: bytes
) -> None:
    folder = write_files(tmp_path / "local", **{name: content})
    with pytest.raises(PackError, match=rf"{name} differs from the recorded file"):
        pull(tiny_store, tiny_pack, Origin(paths=(folder,)))
    assert "tiny/embedder.onnx" not in stored_files(tiny_store)


def test_a_pipe_among_the_files_does_not_block(tiny_store: Store, tiny_pack: Pack, tmp_path: Path) -> None:
    folder = write_files(tmp_path / "local", tiny__zip=ARCHIVE)
    os.mkfifo(folder / "a-pipe")
    pull(tiny_store, tiny_pack, Origin(paths=(folder,)))


# Hostile archives


def _link(name: str, target: str) -> tuple[zipfile.ZipInfo, str]:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info, target


@pytest.fixture
def hostile_archive(tmp_path: Path) -> Path:
    """An archive with the weight files, links, absolute paths, wrong content and a zip bomb."""
    path = tmp_path / "in" / "hostile.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(*_link("embedder.onnx", "/etc/passwd"))
        opened.writestr("../../../detector.onnx", DETECTOR)
        opened.writestr("/tmp/evil.onnx", b"evil")
        opened.writestr("a/embedder.onnx", b"wrong" * 36_000)  # as long as the embedder
        opened.writestr("b/embedder.onnx", b"short")
        opened.writestr("embedder.onnx/", b"")
        opened.writestr("..\\embedder.onnx", b"windows")
        opened.writestr("c/embedder.onnx", EMBEDDER)
        opened.writestr("bomb.onnx", bytes(300_000_000))
    return path


def test_a_hostile_archive_installs_only_the_recorded_content(
    tiny_store: Store, tiny_pack: Pack, hostile_archive: Path
) -> None:
    root = hostile_archive.parents[1]
    before = {path for path in root.rglob("*") if ".downloads" not in path.parts}
    start = time.monotonic()
    pull(tiny_store, tiny_pack, Origin(paths=(hostile_archive,)))
    assert time.monotonic() - start < 5  # the bomb is not unpacked
    after = {path for path in root.rglob("*") if ".downloads" not in path.parts}
    assert {path.name for path in after - before} == {"weights", "tiny", "detector.onnx", "embedder.onnx"}
    assert tiny_store.path(tiny_pack, tiny_pack.files[1]).read_bytes() == EMBEDDER
    assert not tiny_store.path(tiny_pack, tiny_pack.files[1]).is_symlink()


def test_a_member_larger_than_its_declared_size_is_rejected(tiny_store: Store, tiny_pack: Pack, tmp_path: Path) -> None:
    content = archive({"embedder.onnx": b"A" * 50_000_000})
    forged = content.replace((50_000_000).to_bytes(4, "little"), len(EMBEDDER).to_bytes(4, "little"))
    assert forged != content
    folder = write_files(tmp_path / "local", bomb__zip=forged)
    with pytest.raises(PackError, match=r"cannot get detector\.onnx, embedder\.onnx from"):
        pull(tiny_store, tiny_pack, Origin(paths=(folder,)))


def test_a_damaged_archive_yields_the_recorded_content_or_none(tiny_pack: Pack, tmp_path: Path) -> None:
    path, rng = tmp_path / "a.zip", random.Random(7)
    for _ in range(1500):
        content = bytearray(ARCHIVE)
        for _ in range(rng.randrange(1, 6)):
            content[rng.randrange(len(content) * 3 // 4, len(content))] = rng.randrange(256)  # in the directory
            content[rng.randrange(len(content))] = rng.randrange(256)
        path.write_bytes(content[rng.randrange(3) :])
        assert read_member(path, tiny_pack.files[1]) in {None, EMBEDDER}
