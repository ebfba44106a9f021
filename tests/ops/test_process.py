"""Commands that messages name work when they are copied."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import app
from app.ops.process import own_command

_PROGRAM = Path(sys.executable).with_name("compareface")

pytestmark = pytest.mark.skipif(not _PROGRAM.exists(), reason="the program is not installed beside Python")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, and a path without the program."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return tmp_path


def _printed(command: str) -> str:
    return subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True).stdout


def test_off_the_path_a_command_is_told_by_where_it_lies(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_command("--version") == f"{_PROGRAM} --version"
    assert _printed(own_command("--version")) == f"compareface {app.__version__}\n"
    monkeypatch.chdir(_PROGRAM.parents[1])
    assert own_command("--version") == "bin/compareface --version"
    assert _printed(own_command("--version")) == f"compareface {app.__version__}\n"


def test_a_folder_with_a_blank_is_quoted(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (elsewhere / "my faces").mkdir()
    (elsewhere / "my faces/compareface").symlink_to(_PROGRAM)
    monkeypatch.setattr(sys, "executable", str(elsewhere / "my faces/python"))
    assert _printed(own_command("--version")) == f"compareface {app.__version__}\n"


def test_on_the_path_its_name_is_enough(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{_PROGRAM.parent}:/usr/bin:/bin")
    assert own_command("--version") == "compareface --version"


def test_where_nothing_lies_beside_python_it_is_on_the_path(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the image."""
    monkeypatch.setattr(sys, "executable", str(elsewhere / "python"))
    assert own_command("--version") == "compareface --version"
