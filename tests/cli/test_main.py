"""The entry point of the command line: commands, exit codes, error messages and imports."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

import app
from app.cli import COMMANDS, EXAMPLES, build_parser, config, main
from app.environment import SettingsError
from app.errors import ApiError, ErrorCode
from app.packs.manifest import PackError
from app.runtime.providers import DeviceError
from app.scoring.calibration import CalibrationError


def test_help_lists_every_command_with_its_summary() -> None:
    text = " ".join(build_parser().format_help().split())
    assert [name for name, summary in COMMANDS.items() if f"{name} {summary}" not in text] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: compareface {command} ")


def test_every_command_and_its_actions_have_a_description_and_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    actions = [("models", action) for action in ("list", "pull", "prepare", "verify", "optimize")]
    for names in [*((name,) for name in COMMANDS), *actions, ("bench", "stages"), ("bench", "load")]:
        with pytest.raises(SystemExit):
            main([*names, "--help"])
        usage, description, *_, example = capsys.readouterr().out.strip().split("\n\n")
        assert usage.startswith("usage: compareface")
        assert description[0].isupper(), names
        assert example.startswith(f"example: compareface {' '.join(names[:1])}"), names


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_are_valid_command_lines(command: str) -> None:
    arguments = EXAMPLES[command].partition(" |")[0].partition(" >")[0].split()
    assert build_parser(command).parse_args(arguments).command == command


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"compareface {app.__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["unknown"]])
def test_a_known_command_is_required(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SettingsError("no keys"), "no keys"),
        (PackError("pack `x` is broken"), "pack `x` is broken"),
        (DeviceError("no such device"), "no such device"),
        (CalibrationError("no table"), "no table"),
        (ApiError(ErrorCode.IMAGE_EMPTY, image="A"), "InvalidParameterValue.ImageEmpty: Empty image. (image A)"),
        (OSError(errno.ENOENT, "No such file or directory", "a.jpg"), "a.jpg: No such file or directory"),
        (OSError(errno.EPERM, "Operation not permitted"), "Operation not permitted"),
        (OSError("odd"), "odd"),
    ],
)
def test_operator_errors_are_printed_in_one_line(
    error: Exception, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _fail_with(error, monkeypatch)
    assert main(["config"]) == 1
    assert capsys.readouterr() == ("", f"compareface: {text}\n")


def test_interruption_exits_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    _fail_with(KeyboardInterrupt(), monkeypatch)
    assert main(["config"]) == 130


def test_other_exceptions_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    _fail_with(ZeroDivisionError(), monkeypatch)
    with pytest.raises(ZeroDivisionError):
        main(["config"])


def _fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr(config, "run", fail)


def test_a_closed_pipe_exits_without_message() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "app", "config"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (141, b"")


@pytest.mark.parametrize("command", ["config", "sign http://a"])
def test_a_full_disk_is_reported_in_one_line(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAREFACE_AUTH__KEYS", "a:b")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "app", *command.split()], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (1, b"compareface: standard output: No space left on device\n")


@pytest.mark.parametrize("arguments", [["--version"], ["--help"]])
def test_version_and_help_import_no_command_and_no_third_party_package(arguments: list[str]) -> None:
    imported = _modules_after(arguments)
    assert [name for name in imported if name.startswith("app.") and name not in {"app.cli", "app.errors"}] == []
    assert imported.isdisjoint({"pydantic", "numpy", "tqdm", "cv2", "fastapi", "httpx", "onnxruntime", "PIL"})


def test_only_the_module_of_the_command_is_imported() -> None:
    imported = _modules_after(["config", "--help"])
    assert [f"app.cli.{name}" for name in COMMANDS if f"app.cli.{name}" in imported] == ["app.cli.config"]
    assert imported.isdisjoint({"fastapi", "httpx", "cv2", "onnxruntime"})


def _modules_after(arguments: list[str]) -> set[str]:
    """Return the names of the modules that a process has imported when ``main(arguments)`` exits."""
    program = (
        "import contextlib, io, sys, app.cli\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        f"    app.cli.main({arguments!r})\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())
