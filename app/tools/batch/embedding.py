"""Read or download the images of a batch and embed each distinct content once, whatever names it has.

Many images are in progress at the same time, so that workers do not wait for files or servers. An image that fails
only affects its own rows.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from app.errors import ApiError, ErrorCode
from app.imaging.fetch import Fetcher
from app.imaging.source import MAX_BYTES, check_size
from app.ops.deadline import Deadline
from app.tools.batch.backend import EmbeddingBackend
from app.tools.batch.checkpoint import Checkpoint, ImageRecord, Outcome

_FETCH_TIMEOUT_S = 60.0
"""Longer than the settings allow for a request, whose deadline does not apply here."""
_COMMIT_SIZE = 64
"""Images whose work is lost if the process is killed."""
_URL_SCHEMES = ("http://", "https://")


class BatchEmbedder:
    """Embeds the pending names of a checkpoint; file names are relative to ``folder``."""

    def __init__(self, checkpoint: Checkpoint, folder: Path, fetcher: Fetcher, backend: EmbeddingBackend) -> None:
        self._checkpoint = checkpoint
        self._folder = folder
        self._fetcher = fetcher
        self._backend = backend
        self._digests_in_progress: set[bytes] = set()
        self._uncommitted: list[ImageRecord] = []

    async def embed_all(self, concurrency: int, advance: Callable[[int], object]) -> None:
        """Embed all pending names, ``concurrency`` at a time; call ``advance(1)`` after each name."""
        names = self._checkpoint.pending_names()
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(self._process(names, advance))
        self._commit()

    async def _process(self, names: Iterator[str], advance: Callable[[int], object]) -> None:
        for name in names:  # all tasks share this iterator
            record = await self._record(name)
            self._uncommitted.append(record)  # a commit during the await may have replaced the list
            advance(1)
            if len(self._uncommitted) >= _COMMIT_SIZE:
                self._commit()

    def _commit(self) -> None:
        """Commit finished names. A name without outcome stays until the outcome of its content is committed."""
        embedded = {record.digest for record in self._uncommitted if record.outcome is not None}
        committable = [record for record in self._uncommitted if self._is_committable(record, embedded)]
        self._checkpoint.add(committable)
        self._digests_in_progress -= embedded
        self._uncommitted = [record for record in self._uncommitted if not self._is_committable(record, embedded)]

    def _is_committable(self, record: ImageRecord, embedded: set[bytes | None]) -> bool:
        return (
            record.outcome is not None
            or record.digest in embedded
            or self._checkpoint.has_outcome(record.digest or b"")
        )

    async def _record(self, name: str) -> ImageRecord:
        try:
            encoded = check_size(await self._read(name))
        except ApiError as error:
            return ImageRecord(name, None, error.code)
        digest = hashlib.sha256(encoded).digest()
        if digest in self._digests_in_progress or self._checkpoint.has_outcome(digest):
            return ImageRecord(name, digest, None)
        self._digests_in_progress.add(digest)
        return ImageRecord(name, digest, await self._outcome(encoded))

    async def _outcome(self, encoded: bytes) -> Outcome:
        try:
            return await self._backend.embed(encoded)
        except ApiError as error:
            return error.code

    async def _read(self, name: str) -> bytes:
        if not name:
            raise ApiError(ErrorCode.IMAGE_EMPTY)
        if name.lower().startswith(_URL_SCHEMES):
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
        raise ApiError(ErrorCode.IMAGE_DOWNLOAD_ERROR) from error
