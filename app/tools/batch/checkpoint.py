"""The state of a batch on disk: the names of its images, which of them have the same content, and their outcomes.

One SQLite file in a folder that only its owner may enter. Committed work survives a kill, so the next run continues.
It retries errors that may be transient, such as failed downloads and exceeded deadlines. Memory does not grow with
the number of images. Embeddings are biometric data: :meth:`Checkpoint.remove` deletes them with the folder.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self, TypeAlias

import numpy as np

from app.domain import Embedding
from app.errors import ErrorCode, OperatorError

_TABLES = """
CREATE TABLE IF NOT EXISTS run (identity TEXT NOT NULL, is_listed INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS names (number INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, digest BLOB, code TEXT);
CREATE TABLE IF NOT EXISTS images (digest BLOB PRIMARY KEY, embedding BLOB, code TEXT) WITHOUT ROWID;
"""
_PAGE_SIZE = 1000
_LOCK_TIMEOUT_S = 0.0  # a second run must not wait for the first and then repeat its work

_CODES = {code.value: code for code in ErrorCode}
_TRANSIENT = (ErrorCode.IMAGE_DOWNLOAD_ERROR, ErrorCode.REQUEST_TIMEOUT, ErrorCode.SERVER_ERROR)
"""Errors that the next run retries; the code of a download does not say whether the server is gone or busy."""

Outcome: TypeAlias = Embedding | ErrorCode
"""An embedding (D, float32, unit length), or the error that prevented it."""


class BatchError(OperatorError):
    """The batch cannot run; the message says what to change."""


class ImageRecord(NamedTuple):
    """The result of one name.

    ``digest``: SHA-256 of its content, None if it could not be read; ``outcome``: None if the checkpoint has, or will
    have, the outcome of the same content under another name.
    """

    name: str
    digest: bytes | None
    outcome: Outcome | None


class Checkpoint:
    """A context manager; belongs to one thread. Raises :class:`BatchError` if the disk is full."""

    def __init__(self, folder: Path, identity: str) -> None:
        """Open or create the checkpoint; raise :class:`BatchError` if it has work of another ``identity``."""
        self._folder = folder
        if folder.is_symlink():  # it may be planted, and its target would remain after `remove`
            raise BatchError(f"{folder} is a symbolic link")
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        file = folder / "checkpoint.sqlite3"
        file.touch(mode=0o600)
        self._database = sqlite3.connect(file, timeout=_LOCK_TIMEOUT_S)
        try:
            self._open(identity)
        except sqlite3.OperationalError as error:
            self._database.close()
            is_locked = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
            raise BatchError(f"{folder} is in use by another run" if is_locked else f"{folder}: {error}") from error
        except (sqlite3.DatabaseError, BatchError) as error:
            self._database.close()
            raise BatchError(
                f"{folder} belongs to a batch with other pairs or settings: finish that batch, or delete the folder"
            ) from error

    def _open(self, identity: str) -> None:
        # One process at a time; the lock ends with the process.
        self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._database.execute("BEGIN EXCLUSIVE")
        self._database.commit()
        self._database.executescript(_TABLES)
        row = self._database.execute("SELECT identity FROM run").fetchone()
        if row is None:
            self._database.execute("INSERT INTO run VALUES (?, 0)", (identity,))
            self._database.commit()
        elif row[0] == identity:
            self._forget_transient_errors()
        elif self.counts()[1]:
            raise BatchError
        else:
            with self._database:
                self._database.execute("DELETE FROM names")
                self._database.execute("UPDATE run SET identity = ?, is_listed = 0", (identity,))

    def _forget_transient_errors(self) -> None:
        codes = [(code.value,) for code in _TRANSIENT]
        with self._database:
            self._database.executemany(
                "UPDATE names SET digest = NULL WHERE digest IN (SELECT digest FROM images WHERE code = ?)", codes
            )
            self._database.executemany("DELETE FROM images WHERE code = ?", codes)
            self._database.executemany("UPDATE names SET code = NULL WHERE code = ?", codes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

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
            for record in records:
                self._add(record)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with self._database:
                yield
        except sqlite3.OperationalError as error:  # such as a full disk
            raise BatchError(f"{self._folder}: {error}; run the same command again to continue") from error

    def _add(self, record: ImageRecord) -> None:
        name, digest, outcome = record
        code = outcome.value if isinstance(outcome, ErrorCode) else None
        if digest is not None and outcome is not None:
            embedding = outcome.astype("<f4").tobytes() if not isinstance(outcome, ErrorCode) else None
            self._database.execute("INSERT OR IGNORE INTO images VALUES (?, ?, ?)", (digest, embedding, code))
        values = (digest, code if digest is None else None, name)
        self._database.execute("UPDATE names SET digest = ?, code = ? WHERE name = ?", values)

    def outcome(self, name: str) -> Outcome:
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
