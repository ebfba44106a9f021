"""Files on disk: digests, atomic writes and TOML values."""

import errno
import hashlib
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path

from app.packs.manifest import PackError


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's content in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256(content: bytes) -> str:
    """Return the SHA-256 of ``content`` in hex."""
    return hashlib.sha256(content).hexdigest()


def toml_value(value: str | int) -> str:
    """Return ``value`` in TOML, which is JSON without surrogate pairs and with DEL escaped.

    Bytes of file names that are not text become their escapes.
    """
    printable = value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value
    return json.dumps(printable, ensure_ascii=False).replace("\x7f", "\\u007f")


def write(path: Path, content: bytes) -> None:
    """Write a file atomically, safe against concurrent writers; raise :class:`PackError` if that fails."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise write_error(path, error, len(content)) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_error(path: Path, error: OSError, size: int) -> PackError:
    """Return the error for a file of ``size`` bytes that cannot be written."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        advice = f"The file needs {size / 1e6:.0f} MB there."
    else:
        advice = "Run as a user with write permission, or set COMPAREFACE_MODELS__WEIGHTS_DIR to another folder."
    return PackError(f"cannot write {path}: {error.strerror}. {advice}")
