"""Search local files and zip archives for content with a recorded digest.

File names do not matter. Archive members are read into memory, up to their recorded size; nothing is extracted to
disk, and the folders in member names are ignored.
"""

from __future__ import annotations

import hashlib
import lzma
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from app.packs import files
from app.packs.manifest import PackError

_ARCHIVE_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(OSError, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError),
)
"""Errors that ``zipfile`` raises for archives that are damaged, encrypted or of an unsupported kind."""


class LocalFiles:
    """The regular files among ``paths`` and in the folders among ``paths``, recursively."""

    def __init__(self, paths: Sequence[Path]) -> None:
        for path in paths:
            if not path.exists():
                raise PackError(f"{path} does not exist")
        entries = (entry for path in paths for entry in (sorted(path.rglob("*")) if path.is_dir() else [path]))
        self._files = [entry for entry in entries if entry.is_file()]  # a pipe would block

    def find(self, sha256: str, size: int) -> bytes | None:
        """Return the content with this digest: a file, or a member of an archive."""
        for path in self._files:
            if path.stat().st_size == size:
                content = path.read_bytes()
                if hashlib.sha256(content).hexdigest() == sha256:
                    return content
        return self.find_member(None, sha256, size)

    def find_member(self, name: str | None, sha256: str, size: int) -> bytes | None:
        """Return the archive member with this digest and name, or with any name if ``name`` is None."""
        archives = (path for path in self._files if zipfile.is_zipfile(path))
        return next(filter(None, (read_member(path, name, sha256, size) for path in archives)), None)

    def has_name(self, name: str) -> bool:
        """Return whether a file has this name."""
        return any(path.name == name for path in self._files)

    def has_wrong_content(self, name: str, sha256: str) -> bool:
        """Return whether files have this name, but none of them has this digest."""
        candidates = [path for path in self._files if path.name == name]
        return bool(candidates) and sha256 not in map(files.digest, candidates)


def read_member(archive: Path, name: str | None, sha256: str, size: int) -> bytes | None:
    """Return the member of a zip archive with this digest and name, or with any name if ``name`` is None.

    Names are compared without their folders.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                if name in {None, info.filename.rpartition("/")[2]} and info.file_size == size:
                    with opened.open(info) as stream:
                        content = stream.read(size)
                    if hashlib.sha256(content).hexdigest() == sha256:
                        return content
    except _ARCHIVE_ERRORS:
        return None
    return None
