"""The work of a batch on disk: which pictures there are, which are one and the same, and what each has become.

One SQLite file in a folder that only its owner may enter. What is committed is there after a kill; what is not was
never there. So a run goes on where the one before it stopped, in bounded memory however many pictures there are; what
may have passed meanwhile (a far side that failed, time that was up) it tries again.
Embeddings are biometric data: :meth:`Checkpoint.remove` deletes the folder, once the scores are written.
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
CREATE TABLE IF NOT EXISTS run (of TEXT NOT NULL, is_listed INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS picture (number INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, digest BLOB, code TEXT);
CREATE TABLE IF NOT EXISTS face (digest BLOB PRIMARY KEY, embedding BLOB, code TEXT) WITHOUT ROWID;
"""
_AT_ONCE = 1000
_PATIENCE_S = 0.0  # a second run of the same work must not wait for the first, and then do it again

_CODES = {code.value: code for code in ErrorCode}
_PASSING = (ErrorCode.IMAGE_DOWNLOAD_ERROR, ErrorCode.REQUEST_TIMEOUT, ErrorCode.SERVER_ERROR)
"""What may be otherwise tomorrow; a download's code does not tell a far side that is gone from one that is busy."""

Outcome: TypeAlias = Embedding | ErrorCode
"""An embedding (D, float32, unit length), or why there is none."""


class BatchError(OperatorError):
    """The batch cannot be done; the text is for the operator."""


class ImageRecord(NamedTuple):
    """What became of one name: ``digest`` (sha256) of its content where it could be read, and the outcome.

    ``outcome`` is None where the ledger has that of the same content already.
    """

    name: str
    digest: bytes | None
    outcome: Outcome | None


class Checkpoint:
    """A context manager; belongs to one thread."""

    def __init__(self, folder: Path, run: str) -> None:
        """``run`` says what is done with what: work left behind by something else is refused, if any was done."""
        self._folder = folder
        if folder.is_symlink():  # planted, perhaps; and what it leads to would outlast the batch
            raise BatchError(f"{folder} is a link")
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        file = folder / "ledger.sqlite3"
        file.touch(mode=0o600)
        self._base = sqlite3.connect(file, timeout=_PATIENCE_S)
        try:
            self._open(run)
        except sqlite3.OperationalError as error:
            self._base.close()
            is_locked = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
            raise BatchError(f"{folder} is in use by another run" if is_locked else f"{folder}: {error}") from error
        except (sqlite3.DatabaseError, BatchError) as error:
            self._base.close()
            raise BatchError(
                f"{folder} is left from a batch of other pairs or settings: repeat that one, or delete the folder"
            ) from error

    def _open(self, run: str) -> None:
        # One process at a time, and its lock ends with it.
        self._base.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._base.execute("BEGIN EXCLUSIVE")
        self._base.commit()
        self._base.executescript(_TABLES)
        found = self._base.execute("SELECT of FROM run").fetchone()
        if found is None:
            self._base.execute("INSERT INTO run VALUES (?, 0)", (run,))
            self._base.commit()
        elif found[0] == run:
            self._reopen()
        elif self.counts()[1]:
            raise BatchError
        else:
            with self._base:
                self._base.execute("DELETE FROM picture")
                self._base.execute("UPDATE run SET of = ?, is_listed = 0", (run,))

    def _reopen(self) -> None:
        """Forget failures that may have passed."""
        codes = [(code.value,) for code in _PASSING]
        with self._base:
            self._base.executemany(
                "UPDATE picture SET digest = NULL WHERE digest IN (SELECT digest FROM face WHERE code = ?)", codes
            )
            self._base.executemany("DELETE FROM face WHERE code = ?", codes)
            self._base.executemany("UPDATE picture SET code = NULL WHERE code = ?", codes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()

    @property
    def is_listed(self) -> bool:
        """Whether all names are known."""
        return bool(self._base.execute("SELECT is_listed FROM run").fetchone()[0])

    def list_names(self, names: Iterable[str]) -> None:
        """Take down all names; each counts once."""
        with self._all_or_nothing():
            self._base.executemany("INSERT OR IGNORE INTO picture (name) VALUES (?)", ((name,) for name in names))
            self._base.execute("UPDATE run SET is_listed = 1")

    def counts(self) -> tuple[int, int]:
        """Return how many names there are, and how many of them are done."""
        asked = "SELECT count(*), count(CASE WHEN digest IS NOT NULL OR code IS NOT NULL THEN 1 END) FROM picture"
        total, done = self._base.execute(asked).fetchone()
        return total, done

    def open_names(self) -> Iterator[str]:
        """Yield the names not done yet, in order; those done meanwhile do not matter."""
        last = 0
        asked = (
            "SELECT number, name FROM picture WHERE digest IS NULL AND code IS NULL AND number > ? ORDER BY 1 LIMIT ?"
        )
        while rows := self._base.execute(asked, (last, _AT_ONCE)).fetchall():
            yield from (name for _, name in rows)
            last = rows[-1][0]

    def knows(self, digest: bytes) -> bool:
        return self._base.execute("SELECT 1 FROM face WHERE digest = ?", (digest,)).fetchone() is not None

    def add(self, seen: Iterable[ImageRecord]) -> None:
        """Take down what became of names, all or nothing; raise :class:`BatchError` where the disk does not take it."""
        with self._all_or_nothing():
            for each in seen:
                self._add(each)

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        try:
            with self._base:
                yield
        except sqlite3.OperationalError as error:  # a full disk
            raise BatchError(f"{self._folder}: {error}; the same command goes on") from error

    def _add(self, seen: ImageRecord) -> None:
        name, digest, outcome = seen
        code = outcome.value if isinstance(outcome, ErrorCode) else None
        if digest is not None and outcome is not None:
            data = outcome.astype("<f4").tobytes() if not isinstance(outcome, ErrorCode) else None
            self._base.execute("INSERT OR IGNORE INTO face VALUES (?, ?, ?)", (digest, data, code))
        of_name = (digest, code if digest is None else None, name)
        self._base.execute("UPDATE picture SET digest = ?, code = ? WHERE name = ?", of_name)

    def outcome(self, name: str) -> Outcome:
        """Return what became of a name that is done."""
        asked = (
            "SELECT face.embedding, coalesce(picture.code, face.code) FROM picture "
            "LEFT JOIN face ON face.digest = picture.digest WHERE name = ?"
        )
        found = self._base.execute(asked, (name,)).fetchone()
        if found is None:
            raise BatchError(f"the pairs have changed since they were listed: {name!r} is new")
        data, code = found
        return _CODES[code] if data is None else np.frombuffer(data, "<f4").astype(np.float32)

    def distinct(self) -> int:
        """Return how many different pictures there are."""
        return int(self._base.execute("SELECT count(*) FROM face").fetchone()[0])

    def remove(self) -> None:
        """Delete all of it."""
        self._base.close()
        shutil.rmtree(self._folder)
