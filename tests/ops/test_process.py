"""Commands in messages work when they are copied into a shell."""

import subprocess
import sys
from pathlib import Path

import pytest

import app
from app.ops.process import install_command, pip_command, shell_command

_PROGRAM = Path(sys.executable).with_name("compareface")

pytestmark = pytest.mark.skipif(not _PROGRAM.exists(), reason="the program is not installed beside Python")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder; the program is not on the path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return tmp_path


def _output(command: str) -> str:
    return subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True).stdout


def test_a_program_that_is_not_on_the_path_is_named_by_its_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shell_command("--version") == f"{_PROGRAM} --version"
    assert _output(shell_command("--version")) == f"compareface {app.__version__}\n"
    (folder / "bin").mkdir()
    (folder / "bin/compareface").symlink_to(_PROGRAM)
    monkeypatch.setattr(sys, "executable", str(folder / "bin/python"))
    assert shell_command("--version") == "bin/compareface --version"
    assert _output(shell_command("--version")) == f"compareface {app.__version__}\n"


def test_a_folder_with_a_space_is_quoted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "my faces").mkdir()
    (folder / "my faces/compareface").symlink_to(_PROGRAM)
    monkeypatch.setattr(sys, "executable", str(folder / "my faces/python"))
    assert _output(shell_command("--version")) == f"compareface {app.__version__}\n"


def test_a_program_on_the_path_is_named_without_its_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{_PROGRAM.parent}:/usr/bin:/bin")
    assert shell_command("--version") == "compareface --version"


def test_a_program_that_is_not_beside_python_is_named_without_its_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the container image."""
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    assert shell_command("--version") == "compareface --version"


def test_pip_is_that_of_this_python(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _output(pip_command("--version")).startswith("pip ")
    monkeypatch.chdir(_PROGRAM.parents[2])
    python = Path(sys.executable).relative_to(_PROGRAM.parents[2])
    assert pip_command("--version") == f"{python} -m pip --version"


def test_an_extra_is_installed_from_the_checkout(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = Path(app.__file__).resolve().parents[1]
    assert install_command("batch").endswith(f" -m pip install -e '{checkout}[batch]'")
    monkeypatch.chdir(checkout)
    assert install_command("batch").endswith(" -m pip install -e '.[batch]'")
