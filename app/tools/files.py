"""Output files of the commands."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def named(file: Path | str) -> Iterator[None]:
    """Name ``file`` in an ``OSError`` that names none: that of a full disk, which ``write`` raises."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(file)
        raise
