"""Files on disk: their digest, and writing one whole or not at all.

In: paths and bytes. Out: digests; files that are either as they were or entirely new, whoever else writes the same at
the same time. What the disk refuses becomes a :class:`PackError` that says what to do. What is in the files is not
known here.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path

from app.packs.manifest import PackError


def digest(path: Path) -> str:
    """Return the sha256 of a file's content; raise ``OSError`` where it cannot be read."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write(path: Path, content: bytes) -> None:
    """Put the whole file in place at once, whoever else does the same at the same time."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except OSError as error:
        raise refusal(path, error, len(content)) from error
    finally:
        with suppress(OSError):
            draft.unlink()


def refusal(path: Path, error: OSError, size: int) -> PackError:
    """Return what to tell the operator when a file of ``size`` bytes cannot be written."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        advice = f"The file needs {size / 1e6:.0f} MB there."
    else:
        advice = "Do it as a user who may write there, or choose a folder: COMPAREFACE_MODELS__WEIGHTS_DIR."
    return PackError(f"cannot write {path}: {error.strerror}. {advice}")
