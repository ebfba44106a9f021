"""The command line as a whole: commands, exit codes, what the parser costs."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest

import app
from app.cli import build_parser, config, main
from app.environment import SettingsError
from app.errors import ApiError, ErrorCode
from app.packs.manifest import PackError
from app.runtime.providers import DeviceError
from app.scoring.calibration import CalibrationError

_COMMANDS = ("serve", "compare", "inspect", "evaluate", "calibrate", "models", "sign", "shadow", "config")


def test_all_commands_are_listed() -> None:
    text = build_parser().format_help()
    assert [command for command in _COMMANDS if f"\n    {command}" not in text] == []


def test_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"compareface {app.__version__}\n"


def test_no_command_is_a_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([])
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
def test_what_an_operator_can_put_right_is_one_line(
    error: Exception, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _fail_with(error, monkeypatch)
    assert main(["config"]) == 1
    assert capsys.readouterr() == ("", f"compareface: {text}\n")


def test_interruption_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    _fail_with(KeyboardInterrupt(), monkeypatch)
    assert main(["config"]) == 130


def test_defects_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    _fail_with(ZeroDivisionError(), monkeypatch)
    with pytest.raises(ZeroDivisionError):
        main(["config"])


def _fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr(config, "run", fail)


def test_a_reader_who_has_had_enough_is_no_failure() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "app", "config"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, complaints = process.communicate(timeout=30)
    assert (process.returncode, complaints) == (141, b"")


def test_parser_is_built_without_heavy_imports() -> None:
    program = (
        "import sys, app.cli; app.cli.build_parser();"
        "print([name for name in ('fastapi', 'starlette', 'uvicorn', 'httpx', 'cv2', 'onnxruntime', 'onnx', 'PIL')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
