"""``compareface batch`` as a separate process on real images."""

from __future__ import annotations

import csv
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from app.cli import main
from tests.support.images import another_shot, astronaut, cast, jpeg

_HEAD = "id,a,b\n"
_ROWS = """1,astronaut.jpg,shot.jpg
"2, again",copy.jpg,shot.jpg
3,astronaut.jpg,cast.jpg
4,bad.jpg,none.jpg
5,shot.jpg,none.jpg
6,astronaut.jpg,copy.jpg
7,,shot.jpg
"""


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    files = {
        "astronaut": jpeg(astronaut()),
        "copy": jpeg(astronaut()),
        "shot": jpeg(another_shot(astronaut())),
        "cast": jpeg(cast()),
        "bad": b"not an image",
    }
    for name, data in files.items():
        (tmp_path / f"{name}.jpg").write_bytes(data)
    file = tmp_path / "pairs.csv"
    file.write_text(_HEAD + _ROWS)
    return file


def _command(pairs: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "app", "batch", str(pairs), "--out", str(out)]


def _batch(pairs: Path, out: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(_command(pairs, out), capture_output=True, text=True, timeout=120, check=False)


def _table(out: Path) -> list[Mapping[str, str]]:
    with out.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_each_row_has_the_score_of_compare_or_an_error_code(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = pairs.with_name("scores.csv")
    completed = _batch(pairs, out)
    assert completed.returncode == 0, completed.stderr
    rows = _table(out)
    codes = Counter(row["code"] for row in rows)
    assert "4 distinct images of 7 names; " in completed.stderr, "a copy counts once"
    assert f"; {codes['']} scored, {len(rows) - codes['']} not: " in completed.stderr
    assert all(f"{code} {number}" in completed.stderr for code, number in codes.items() if code)
    assert [row["id"] for row in rows] == ["1", "2, again", "3", "4", "5", "6", "7"]
    for row in rows[:3]:
        assert main(["compare", "--json", str(pairs.parent / row["a"]), str(pairs.parent / row["b"])]) == 0
        assert float(row["score"]) == json.loads(capsys.readouterr().out)["Score"]
    assert float(rows[5]["score"]) == 100
    assert [(row["score"], row["code"], row["image"]) for row in (rows[3], rows[4], rows[6])] == [
        ("", "FailedOperation.ImageDecodeFailed", "A"),
        ("", "FailedOperation.ImageDownloadError", "B"),
        ("", "InvalidParameterValue.ImageEmpty", "A"),
    ]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert not list(pairs.parent.glob(".*")), "embeddings are deleted at the end"


def _crops(folder: Path, number: int) -> Iterator[str]:
    """Write distinct images of the same face; yield their names."""
    for index in range(number):
        name = f"crop{index}.jpg"
        (folder / name).write_bytes(jpeg(astronaut()[:300, index : index + 300]))
        yield name


def test_a_killed_batch_continues_and_writes_the_same_bytes(tmp_path: Path) -> None:
    names = list(_crops(tmp_path, 150))
    pairs, out, uninterrupted = (tmp_path / name for name in ("pairs.csv", "scores.csv", "uninterrupted.csv"))
    pairs.write_text("a,b\n" + "".join(f"{a},{b}\n" for a, b in zip(names, [*names[1:], names[0]], strict=True)))
    work = tmp_path / ".scores.csv.work"
    with subprocess.Popen(_command(pairs, out), stderr=subprocess.DEVNULL, process_group=0) as process:
        while process.poll() is None and not _committed(work):
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL, "the batch ended before it could be killed"
    assert not out.exists()
    assert {stat.S_IMODE(path.stat().st_mode) for path in work.iterdir()} == {0o600}
    kept = _committed(work)
    assert 0 < kept < len(names)
    completed = _batch(pairs, out)
    assert completed.returncode == 0, completed.stderr
    assert not work.exists()
    assert _batch(pairs, uninterrupted).returncode == 0
    assert out.read_bytes() == uninterrupted.read_bytes()
    assert all(row["score"] for row in _table(out))


def _committed(work: Path) -> int:
    """Return the number of committed images, read from a copy of the database because it is locked."""
    file = work / "checkpoint.sqlite3"
    if not file.exists():
        return 0
    copy = work.parent / "copy.sqlite3"
    copy.write_bytes(file.read_bytes())
    try:
        database = sqlite3.connect(copy)
        try:
            return int(database.execute("SELECT count(*) FROM images").fetchone()[0])
        finally:
            database.close()
    except sqlite3.DatabaseError:  # copied during a commit
        return 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y\n1,2\n", "including `a` and `b`"),
        ("a,b,score\n1,2,3\n", "column names must be unique"),
        ("a,b\n1,2,3\n", "line 2: 3 values for 2 columns"),
        ('a,b\n"1,2\n', "line 2: unexpected end of data"),
        ("", "including `a` and `b`"),
    ],
)
def test_an_invalid_table_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(text)
    assert main(["batch", str(pairs), "--out", str(tmp_path / "scores.csv")]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_after_a_failed_start_a_corrected_table_is_accepted(pairs: Path) -> None:
    out, valid = pairs.with_name("scores.csv"), pairs.read_text()
    pairs.write_text(valid + "8,too few\n")
    assert "line 9: 2 values for 3 columns" in _batch(pairs, out).stderr
    pairs.write_text(valid)
    assert _batch(pairs, out).returncode == 0


@pytest.mark.parametrize(
    ("out", "message"), [("pairs.csv", "Would overwrite the pairs"), ("folder.csv", "Is a folder")]
)
def test_an_output_path_that_cannot_be_written_is_refused(
    pairs: Path, capsys: pytest.CaptureFixture[str], out: str, message: str
) -> None:
    pairs.with_name("folder.csv").mkdir()
    assert main(["batch", str(pairs), "--out", str(pairs.with_name(out))]) == 1
    assert capsys.readouterr().err == f"compareface: {pairs.with_name(out)}: {message}\n"
    assert pairs.read_text() == _HEAD + _ROWS


def test_pairs_from_a_pipe_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pairs.csv")
    assert main(["batch", str(tmp_path / "pairs.csv"), "--out", str(tmp_path / "scores.csv")]) == 1
    assert "Must be a regular file" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["", ".xlsx"])
def test_an_unknown_output_format_is_refused(pairs: Path, capsys: pytest.CaptureFixture[str], suffix: str) -> None:
    assert main(["batch", str(pairs), "--out", str(pairs.with_name("scores")) + suffix]) == 1
    assert "must end in .csv or .parquet" in capsys.readouterr().err


def test_parquet_has_the_same_rows(pairs: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra `batch` is not installed")
    out, table = pairs.with_name("scores.parquet"), pairs.with_name("scores.csv")
    assert _batch(pairs, out).returncode == _batch(pairs, table).returncode == 0
    rows = parquet.read_table(out).to_pylist()
    assert [{name: "" if cell is None else str(cell) for name, cell in row.items()} for row in rows] == _table(table)


def test_url_schemes_are_case_insensitive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "face.jpg").write_bytes(jpeg(astronaut()))
    pairs, out = tmp_path / "pairs.csv", tmp_path / "scores.csv"
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    monkeypatch.setenv("COMPAREFACE_FETCH__ALLOW", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        pairs.write_text(f"a,b\nface.jpg,HTTP://127.0.0.1:{web.server_port}/face.jpg\n")
        assert main(["batch", str(pairs), "--out", str(out)]) == 0
        web.shutdown()
    assert (_table(out)[0]["score"], _table(out)[0]["code"]) == ("100.0", "")
    assert '"GET /face.jpg' in capsys.readouterr().err
