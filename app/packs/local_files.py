"""Files that the operator has got in some other way -> those of them that a pack needs.

In: files and folders. Out: bytes of a wanted digest, found as a file or as a member of a zip archive, whatever it is
called. Nothing is ever extracted: a member is read into memory, up to its recorded size, and its path is not used.
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

_UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(OSError, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError),
)
"""What ``zipfile`` raises about archives that are damaged, encrypted or of a kind it does not know."""


class LocalFiles:
    """The regular files of ``paths``, folders with all that is below them."""

    def __init__(self, paths: Sequence[Path]) -> None:
        for path in paths:
            if not path.exists():
                raise PackError(f"{path} does not exist")
        below = (entry for path in paths for entry in (sorted(path.rglob("*")) if path.is_dir() else [path]))
        self._files = [path for path in below if path.is_file()]  # not pipes, which would block

    def whole(self, sha256: str, size: int) -> bytes | None:
        """Return the content of the file, or else of the archive's member, with this digest."""
        for path in self._files:
            if path.stat().st_size == size:
                content = path.read_bytes()
                if hashlib.sha256(content).hexdigest() == sha256:
                    return content
        return self.member(None, sha256, size)

    def member(self, name: str | None, sha256: str, size: int) -> bytes | None:
        """Return the content of the member with this name, or any, and this digest of any archive."""
        archives = (path for path in self._files if zipfile.is_zipfile(path))
        return next(filter(None, (member(path, name, sha256, size) for path in archives)), None)

    def has(self, name: str) -> bool:
        return any(path.name == name for path in self._files)

    def has_another(self, name: str, sha256: str) -> bool:
        """Whether a file has this name, so should have been it, but another digest."""
        named = [path for path in self._files if path.name == name]
        return bool(named) and sha256 not in map(files.digest, named)


def member(archive: Path, name: str | None, sha256: str, size: int) -> bytes | None:
    """Return the content of the archive's member with this name, in whatever folder, and digest; None is any name."""
    try:
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                if name in {None, info.filename.rpartition("/")[2]} and info.file_size == size:
                    with opened.open(info) as stream:
                        content = stream.read(size)
                    if hashlib.sha256(content).hexdigest() == sha256:
                        return content
    except _UNREADABLE:
        return None
    return None
