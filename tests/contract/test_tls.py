"""TLS of a real server: starts that fail, renewals under load, and shutdown under load."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.renewal import renewed_under_load
from tests.support.termination import terminated_under_load
from tests.support.tls import TlsFiles


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        (
            {"COMPAREFACE_SERVER__TLS_CERT": "{folder}/tls.crt", "COMPAREFACE_SERVER__TLS_KEY": "{folder}"},
            "COMPAREFACE_SERVER__TLS_KEY: {folder}: Is a directory",
        ),
        (
            {"COMPAREFACE_SERVER__TLS_CERT": "{folder}/tls.crt"},
            "COMPAREFACE_SERVER__TLS_CERT and COMPAREFACE_SERVER__TLS_KEY must be set together",
        ),
        (
            {"COMPAREFACE_SERVER__TLS_KEY": "x"},
            "COMPAREFACE_SERVER__TLS_CERT and COMPAREFACE_SERVER__TLS_KEY must be set together",
        ),
        (
            {"COMPAREFACE_SERVER__TLS_CERT": "{folder}/tls.crt", "COMPAREFACE_SERVER__TLS_KEY": "{folder}/ca.pem"},
            "COMPAREFACE_SERVER__TLS_KEY: {folder}/ca.pem: not a private key in PEM format",
        ),
    ],
)
def test_an_unusable_pair_stops_the_start_with_one_line(tmp_path: Path, environment: dict[str, str], line: str) -> None:
    TlsFiles(tmp_path)
    settings = {name: value.format(folder=tmp_path) for name, value in environment.items()}
    done = subprocess.run(
        [sys.executable, "-m", "app", "serve"],
        env={**os.environ, "COMPAREFACE_SERVER__PORT": "0", **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, f"compareface: {line.format(folder=tmp_path)}\n")


def test_renewals_under_load_lose_no_request(tmp_path: Path) -> None:
    """``python -m benchmarks.renewal 20`` repeats this test more often."""
    outcome = renewed_under_load(2, tmp_path)
    assert outcome.lost == []
    assert outcome.certificates == 3
    assert outcome.handshakes > 100
    assert outcome.codes.keys() == {"OK", "InvalidParameterValue.ImageEmpty"}


def test_sigterm_under_load_loses_no_request_over_tls(tmp_path: Path) -> None:
    """``python -m benchmarks.drain 50 --tls`` repeats this test more often."""
    files = TlsFiles(tmp_path)
    outcome = terminated_under_load(tls=files)
    assert outcome.is_good, outcome
