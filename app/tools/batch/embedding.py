"""Names of pictures -> embeddings in a ledger: each distinct picture is looked at once, whatever it is called.

In: files and http(s) addresses. Out: rows of :class:`~app.tools.batch.checkpoint.Checkpoint`. Many pictures are under way at the
same time, so that workers never wait for a file or a far side; a picture that fails costs its own rows only.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from app.domain import Embedding
from app.errors import ApiError, ErrorCode
from app.imaging.fetch import Fetcher
from app.imaging.source import MAX_BYTES, check_size
from app.ops.deadline import Deadline
from app.tools.batch.checkpoint import Checkpoint, ImageRecord, Outcome

_FETCH_S = 60.0
"""More than settings give a picture: the time of a request bounds nothing here."""
_CHUNK = 64
"""Pictures whose work a kill may cost."""
_URLS = ("http://", "https://")

Embed: TypeAlias = Callable[[bytes], Awaitable[Embedding]]
"""Embeds a picture, somewhere; raises ``ApiError``."""


class Pictures:
    """Embeds what a ledger lists; paths are relative to ``folder``."""

    def __init__(self, ledger: Checkpoint, folder: Path, fetcher: Fetcher, embed: Embed) -> None:
        self._ledger = ledger
        self._folder = folder
        self._fetcher = fetcher
        self._embed = embed
        self._begun: set[bytes] = set()
        self._done: list[ImageRecord] = []

    async def embed_all(self, concurrency: int, advance: Callable[[int], object]) -> None:
        """Embed what is left, ``concurrency`` pictures at a time; ``advance`` is told how many more are done."""
        names = self._ledger.open_names()
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(self._lane(names, advance))
        self._write()

    async def _lane(self, names: Iterator[str], advance: Callable[[int], object]) -> None:
        for name in names:  # all concurrency take from the same
            seen = await self._see(name)
            self._done.append(seen)
            advance(1)
            if len(self._done) >= _CHUNK:
                self._write()

    def _write(self) -> None:
        """Commit what is done. A name whose content another lane is still busy with is only committed with it."""
        has = {seen.digest for seen in self._done if seen.outcome is not None}
        ready = [seen for seen in self._done if self._is_settled(seen, has)]
        self._ledger.add(ready)
        self._begun -= has
        self._done = [seen for seen in self._done if not self._is_settled(seen, has)]

    def _is_settled(self, seen: ImageRecord, has: set[bytes | None]) -> bool:
        return seen.outcome is not None or seen.digest in has or self._ledger.knows(seen.digest or b"")

    async def _see(self, name: str) -> ImageRecord:
        try:
            data = check_size(await self._read(name))
        except ApiError as error:
            return ImageRecord(name, None, error.code)
        digest = hashlib.sha256(data).digest()
        if digest in self._begun or self._ledger.knows(digest):
            return ImageRecord(name, digest, None)
        self._begun.add(digest)
        return ImageRecord(name, digest, await self._outcome(data))

    async def _outcome(self, data: bytes) -> Outcome:
        try:
            return await self._embed(data)
        except ApiError as error:
            return error.code

    async def _read(self, name: str) -> bytes:
        if not name:
            raise ApiError(ErrorCode.IMAGE_EMPTY)
        if name.lower().startswith(_URLS):
            return await self._fetcher.fetch(name, Deadline.after(_FETCH_S), MAX_BYTES)
        return await asyncio.to_thread(_file, self._folder / name)


def _file(path: Path) -> bytes:
    """Return the file, or one byte more of it than a picture may have."""
    try:
        if not path.is_file():  # a pipe would never end
            raise FileNotFoundError
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        raise ApiError(ErrorCode.IMAGE_DOWNLOAD_ERROR) from error
