import errno
from pathlib import Path

import pytest

from app.tools.files import named


def test_an_error_without_a_file_names_it() -> None:
    with pytest.raises(OSError, match="No space left") as caught, named(Path("a.png")):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert (caught.value.filename, caught.value.errno) == ("a.png", errno.ENOSPC)


def test_the_file_of_an_error_is_kept() -> None:
    with pytest.raises(FileNotFoundError) as caught, named("a.png"):
        Path("/absent/b.png").read_bytes()
    assert str(caught.value.filename) == "/absent/b.png"
