"""Read or download the images of a batch and embed each distinct content once, even if several names have it.

Many images are in progress at the same time, so that workers do not wait for files or servers. An image that fails
only affects its own rows.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from app.errors import ApiError, ErrorCode
from app.imaging.fetch import Fetcher
from app.imaging.source import MAX_BYTES, check_size
from app.ops.deadline import Deadline
from app.service.errors import api_errors
from app.tools.batch.backend import EmbeddingBackend
from app.tools.batch.checkpoint import Checkpoint, FileCode, ImageRecord

_FETCH_TIMEOUT_S = 60.0
"""The deadline of the settings is for requests to the service."""
_COMMIT_SIZE = 64
"""Images whose work is lost if the process is killed, if they take less than this time:"""
_COMMIT_INTERVAL_S = 5.0
_URL_SCHEMES = ("http://", "https://")


class _FileError(Exception):
    """A local file is missing or cannot be read."""


class BatchEmbedder:
    """Embeds the pending names of a checkpoint; file names are relative to ``folder``."""

    def __init__(self, checkpoint: Checkpoint, folder: Path, fetcher: Fetcher, backend: EmbeddingBackend) -> None:
        self._checkpoint = checkpoint
        self._folder = folder
        self._fetcher = fetcher
        self._backend = backend
        self._copies: dict[bytes, list[str]] = {}
        """By the digest of an image in progress: other names with the same content."""
        self._uncommitted: list[ImageRecord] = []
        self._committed_at = time.monotonic()

    async def embed_all(self, concurrency: int, advance: Callable[[int], object]) -> None:
        """Embed all pending names, ``concurrency`` at a time; call ``advance(1)`` after each name.

        If the task is cancelled, commit the finished names.
        """
        names = self._checkpoint.pending_names()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(concurrency):
                    group.create_task(self._process(names, advance))
        finally:
            self._commit()

    async def _process(self, names: Iterator[str], advance: Callable[[int], object]) -> None:
        for name in names:  # all tasks share this iterator
            await self._embed(name)
            advance(1)
            is_due = time.monotonic() - self._committed_at >= _COMMIT_INTERVAL_S
            if is_due or len(self._uncommitted) >= _COMMIT_SIZE:
                self._commit()

    def _commit(self) -> None:
        self._checkpoint.add(self._uncommitted)
        self._uncommitted.clear()
        self._committed_at = time.monotonic()

    async def _embed(self, name: str) -> None:
        """Add the record of ``name``; if another name with the same content is in progress, leave it to that one."""
        try:
            encoded = check_size(await self._read(name))
        except (ApiError, _FileError) as error:
            code = error.code if isinstance(error, ApiError) else FileCode.IMAGE_NOT_FOUND
            self._uncommitted.append(ImageRecord(name, None, code))
            return
        digest = hashlib.sha256(encoded).digest()
        if digest in self._copies:
            self._copies[digest].append(name)
        elif self._is_embedded(digest):
            self._uncommitted.append(ImageRecord(name, digest, None))
        else:
            self._copies[digest] = []
            outcome = await self._backend.embed(encoded)
            self._uncommitted.append(ImageRecord(name, digest, outcome))
            self._uncommitted += [ImageRecord(copy, digest, None) for copy in self._copies.pop(digest)]

    def _is_embedded(self, digest: bytes) -> bool:
        return any(record.digest == digest for record in self._uncommitted) or self._checkpoint.has_outcome(digest)

    async def _read(self, name: str) -> bytes:
        if not name:
            raise ApiError(ErrorCode.IMAGE_EMPTY)
        if name.lower().startswith(_URL_SCHEMES):
            with api_errors():
                return await self._fetcher.fetch(name, Deadline.after(_FETCH_TIMEOUT_S), MAX_BYTES)
        return await asyncio.to_thread(_read_file, self._folder / name)


def _read_file(path: Path) -> bytes:
    """Return the content, but at most one byte more than the size limit of an image."""
    try:
        if not path.is_file():  # reading a pipe would not end
            raise FileNotFoundError
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL byte
        raise _FileError from error
