"""``compareface sign``: the service accepts the printed command."""

import base64
import itertools
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from app.api.auth import tc3
from app.api.auth.authenticator import Authenticator
from app.api.auth.keys import KeyRing
from app.api.request import CloudRequest
from app.cli import main, sign
from app.settings import AuthSettings
from app.tools.signing import host_header

_KEYS = "first:one,second:two,second:three"

# A fake curl that records its arguments and its standard input.
_CURL = """#!/bin/sh
printf '%s\\n' "$@" > "$RECORD/arguments"
cat > "$RECORD/body"
"""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAREFACE_AUTH__KEYS", _KEYS)


def _run_in_bash(script: str, folder: Path) -> CloudRequest:
    """Run the printed command with a fake curl; return the request that the real one would send."""
    curl = folder / "curl"
    curl.write_text(_CURL)
    curl.chmod(curl.stat().st_mode | stat.S_IEXEC)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "RECORD": str(folder)}
    subprocess.run([shutil.which("bash") or "bash"], input=script, text=True, env=environment, check=True)
    arguments = (folder / "arguments").read_text().splitlines()
    assert arguments[-2:] == ["--data-binary", "@-"]
    headers = {
        name.lower(): value
        for option, argument in itertools.pairwise(arguments)
        if option == "-H"
        for name, _, value in [argument.partition(": ")]
    }
    body = (folder / "body").read_bytes()
    headers["host"] = host_header(arguments[1])
    return CloudRequest("POST", "/", "", headers, body, tc3.sha256(body))


@pytest.mark.parametrize(
    ("options", "secret_id"),
    [
        ([], "first"),
        (["--secret-id", "second"], "second"),
        (["--endpoint", "https://faces.example.com/it's here"], "first"),
    ],
)
def test_printed_command_is_accepted(
    options: list[str], secret_id: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "a.jpg"
    image.write_bytes(b"\xff\xd8image")
    assert main(["sign", str(image), "http://example.com/$HOME/`b`'中.jpg", *options]) == 0
    request = _run_in_bash(capsys.readouterr().out, tmp_path)
    settings = AuthSettings.model_validate({"keys": _KEYS})
    authenticator = Authenticator(settings, KeyRing.open(settings), is_open=False)
    examined = authenticator.check_credential(request)
    assert authenticator.verify(request, examined) is not None
    assert examined.secret_id == secret_id
    assert (request.required("Action"), request.required("Version")) == ("CompareFace", "2020-03-03")
    encoded = base64.b64encode(b"\xff\xd8image").decode()
    expected = f'{{"ImageA": "{encoded}", "UrlB": "http://example.com/$HOME/`b`\'\\u4e2d.jpg"}}\n'
    assert request.body == expected.encode("ascii"), "the signature holds in every encoding of the terminal"


def test_one_image_is_sent_to_detect_face(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sign", "http://a", "--version", "2018-03-01"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"-H 'X-TC-Action: DetectFace'", text)
    assert re.search(r"-H 'X-TC-Version: 2018-03-01'", text)
    assert '\n{"Url": "http://a", "NeedFaceAttributes": 1, "NeedQualityDetection": 1}\n' in text


@pytest.mark.parametrize(
    ("keys", "arguments", "text"),
    [
        ("", ["http://a", "http://b"], "no keys are configured"),
        (_KEYS, ["http://a", "http://b", "--secret-id", "third"], "no SecretId third"),
        (_KEYS, ["no/such/file", "http://b"], "no/such/file: No such file"),
    ],
)
def test_missing_keys_and_files_are_reported(
    keys: str,
    arguments: list[str],
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COMPAREFACE_AUTH__KEYS", keys)
    assert main(["sign", *arguments]) == 1
    output = capsys.readouterr()
    assert text in output.err
    assert output.out == "exit 1\n"


_NOT_TEXT = "$(printf 'http://x/\\377.jpg')"


@pytest.mark.parametrize(
    "arguments",
    [
        "absent.jpg b.jpg",
        "",
        "a.jpg --nonsense",
        "a.jpg --endpoint ftp://x",
        _NOT_TEXT,
        f"http://x --endpoint {_NOT_TEXT}",
        f"http://x --secret-id {_NOT_TEXT}",
        f"http://x --version {_NOT_TEXT}",
    ],
)
def test_a_shell_that_runs_a_failed_command_fails(arguments: str) -> None:
    command = f"{sys.executable} -m app sign {arguments} | bash"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("compareface")


def test_a_shell_that_runs_a_crashed_command_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def crash(_: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(sign, "run", crash)
    with pytest.raises(ZeroDivisionError):
        main(["sign", "http://a"])
    assert capsys.readouterr().out == "exit 1\n"
