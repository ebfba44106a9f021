"""The state of a batch on disk: the names of its images, the digests of their contents, and their outcomes.

One SQLite file in a folder that only its owner may enter. Committed work survives a kill, so the next run continues,
and retries errors that may be transient, such as failed downloads and exceeded deadlines. Memory does not grow with the
number of images. Embeddings are biometric data: :meth:`Checkpoint.remove` deletes them with the folder.
"""

import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Self, TypeAlias

import numpy as np

from app.errors import ErrorCode, OperatorError
from app.tools.embedding import Outcome

_TABLES = """
CREATE TABLE IF NOT EXISTS run (identity TEXT NOT NULL, is_listed INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS names (number INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, digest BLOB, code TEXT);
CREATE TABLE IF NOT EXISTS images (digest BLOB PRIMARY KEY, embedding BLOB, code TEXT) WITHOUT ROWID;
"""
_PAGE_SIZE = 1000


class FileCode(StrEnum):
    """Error codes of local files, which the API does not have."""

    IMAGE_NOT_FOUND = "ImageNotFound"
    """The file is missing or cannot be read."""


NameOutcome: TypeAlias = Outcome | FileCode
"""The embedding of a named image, or the error that prevented it."""

_CODES: Mapping[str, ErrorCode | FileCode] = {code.value: code for code in (*ErrorCode, *FileCode)}
TRANSIENT_CODES = (
    ErrorCode.IMAGE_DOWNLOAD_ERROR,
    ErrorCode.REQUEST_TIMEOUT,
    ErrorCode.SERVER_ERROR,
    FileCode.IMAGE_NOT_FOUND,
)
"""Errors that the next run retries. A failed download has the same code whether or not the failure is permanent."""


class BatchError(OperatorError):
    """The batch cannot run; the message says what to change."""


class ImageRecord(NamedTuple):
    """The result of one name.

    ``digest``: SHA-256 of its content, None if it could not be read; ``outcome``: None if the checkpoint, or an earlier
    record of the same transaction, has the outcome of the same content.
    """

    name: str
    digest: bytes | None
    outcome: NameOutcome | None


class Checkpoint:
    """Belongs to one thread. Methods that write raise :class:`BatchError` if the disk is full."""

    def __init__(self, folder: Path, database: sqlite3.Connection) -> None:
        self._folder = folder
        self._database = database

    @classmethod
    @contextmanager
    def open(cls, folder: Path, identity: str) -> Iterator[Self]:
        """Open or create the checkpoint; raise :class:`BatchError` if it has work of another ``identity``."""
        if folder.is_symlink():  # another user may have created it, and `remove` would not delete its target
            raise BatchError(f"{folder} is a symbolic link")
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        file = folder / "checkpoint.sqlite3"
        file.touch(mode=0o600)
        # timeout=0: a second run must not wait for the first and then repeat its work
        with closing(sqlite3.connect(file, timeout=0)) as database:
            checkpoint = cls(folder, database)
            try:
                checkpoint._start(identity)
            except sqlite3.OperationalError as error:
                is_locked = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
                raise BatchError(f"{folder} is in use by another run" if is_locked else f"{folder}: {error}") from error
            except sqlite3.DatabaseError as error:
                raise BatchError(
                    f"{folder} belongs to a batch with other pairs or settings: finish that batch, or delete the folder"
                ) from error
            yield checkpoint

    def _start(self, identity: str) -> None:
        """Lock the database until this process ends, and prepare it for this run."""
        self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._database.execute("BEGIN EXCLUSIVE")
        self._database.commit()
        self._database.executescript(_TABLES)
        if self._database.execute("SELECT identity FROM run").fetchone() == (identity,):
            self._forget_transient_errors()
            return
        if self.counts()[1]:
            raise sqlite3.DatabaseError("it has work of another batch")
        with self._database:
            self._database.execute("DELETE FROM names")
            self._database.execute("DELETE FROM run")
            self._database.execute("INSERT INTO run VALUES (?, 0)", (identity,))

    def _forget_transient_errors(self) -> None:
        codes = [(code.value,) for code in TRANSIENT_CODES]
        with self._database:
            self._database.executemany(
                "UPDATE names SET digest = NULL WHERE digest IN (SELECT digest FROM images WHERE code = ?)", codes
            )
            self._database.executemany("DELETE FROM images WHERE code = ?", codes)
            self._database.executemany("UPDATE names SET code = NULL WHERE code = ?", codes)

    @property
    def is_listed(self) -> bool:
        """Whether ``add_names`` has been completed."""
        return bool(self._database.execute("SELECT is_listed FROM run").fetchone()[0])

    def add_names(self, names: Iterable[str]) -> None:
        """Add all names of the batch; duplicates are ignored."""
        with self._transaction():
            self._database.executemany("INSERT OR IGNORE INTO names (name) VALUES (?)", ((name,) for name in names))
            self._database.execute("UPDATE run SET is_listed = 1")

    def counts(self) -> tuple[int, int]:
        """Return the number of names, and how many of them are done."""
        query = "SELECT count(*), count(CASE WHEN digest IS NOT NULL OR code IS NOT NULL THEN 1 END) FROM names"
        total, done = self._database.execute(query).fetchone()
        return total, done

    def pending_names(self) -> Iterator[str]:
        """Yield the names that are not done, in order; records may be added during the iteration."""
        query = "SELECT number, name FROM names WHERE digest IS NULL AND code IS NULL AND number > ? ORDER BY 1 LIMIT ?"
        last = 0
        while rows := self._database.execute(query, (last, _PAGE_SIZE)).fetchall():
            yield from (name for _, name in rows)
            last = rows[-1][0]

    def has_outcome(self, digest: bytes) -> bool:
        return self._database.execute("SELECT 1 FROM images WHERE digest = ?", (digest,)).fetchone() is not None

    def add(self, records: Iterable[ImageRecord]) -> None:
        """Add the records in one transaction."""
        with self._transaction():
            for name, digest, outcome in records:
                code = outcome.value if isinstance(outcome, StrEnum) else None
                if digest is not None and outcome is not None:
                    embedding = None if isinstance(outcome, StrEnum) else outcome.astype("<f4").tobytes()
                    self._database.execute("INSERT OR IGNORE INTO images VALUES (?, ?, ?)", (digest, embedding, code))
                values = (digest, code if digest is None else None, name)
                self._database.execute("UPDATE names SET digest = ?, code = ? WHERE name = ?", values)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with self._database:
                yield
        except sqlite3.OperationalError as error:  # such as a full disk
            raise BatchError(f"{self._folder}: {error}; run the same command again to continue") from error

    def outcome(self, name: str) -> NameOutcome:
        """Return the outcome of a name that is done."""
        query = (
            "SELECT images.embedding, coalesce(names.code, images.code) FROM names "
            "LEFT JOIN images ON images.digest = names.digest WHERE names.name = ?"
        )
        row = self._database.execute(query, (name,)).fetchone()
        if row is None:
            raise BatchError(f"the pairs have changed since the batch started: {name!r} is new")
        embedding, code = row
        return _CODES[code] if embedding is None else np.frombuffer(embedding, "<f4").astype(np.float32)

    def distinct_images(self) -> int:
        """Return the number of distinct contents."""
        return int(self._database.execute("SELECT count(*) FROM images").fetchone()[0])

    def remove(self) -> None:
        """Delete the folder with all embeddings."""
        self._database.close()
        shutil.rmtree(self._folder)
