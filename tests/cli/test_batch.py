"""``compareface batch``, as a process of its own on real pictures."""

from __future__ import annotations

import csv
import json
import os
import resource
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

import numpy as np
import pytest

from app.cli import main
from app.errors import ErrorCode
from app.tools.batch.checkpoint import BatchError, Checkpoint, ImageRecord
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
        "bad": b"no picture",
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


def test_each_row_has_the_score_of_compare_or_says_why_it_has_none(
    pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = pairs.with_name("scores.csv")
    done = _batch(pairs, out)
    assert done.returncode == 0, done.stderr
    rows = _table(out)
    codes = Counter(row["code"] for row in rows)
    assert "4 distinct pictures of 7 names; " in done.stderr, "the copy is no picture of its own"
    assert f"; {codes['']} scored, {len(rows) - codes['']} not: " in done.stderr
    assert all(f"{code} {number}" in done.stderr for code, number in codes.items() if code)
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
    """Write pictures of the same face, all of them different."""
    for index in range(number):
        name = f"crop{index}.jpg"
        (folder / name).write_bytes(jpeg(astronaut()[:300, index : index + 300]))
        yield name


def test_a_batch_that_was_killed_goes_on_and_ends_in_the_same_bytes(tmp_path: Path) -> None:
    names = list(_crops(tmp_path, 150))
    pairs, out, again = tmp_path / "pairs.csv", tmp_path / "scores.csv", tmp_path / "again.csv"
    pairs.write_text("a,b\n" + "".join(f"{a},{b}\n" for a, b in zip(names, [*names[1:], names[0]], strict=True)))
    work = tmp_path / ".scores.csv.work"
    with subprocess.Popen(_command(pairs, out), stderr=subprocess.DEVNULL, process_group=0) as process:
        while process.poll() is None and not _committed(work):
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL, "it was done before it could be killed"
    assert not out.exists()
    assert {stat.S_IMODE(path.stat().st_mode) for path in work.iterdir()} == {0o600}
    kept = _committed(work)
    assert 0 < kept < len(names)
    done = _batch(pairs, out)
    assert done.returncode == 0, done.stderr
    assert not work.exists()
    assert _batch(pairs, again).returncode == 0
    assert out.read_bytes() == again.read_bytes()
    assert all(row["score"] for row in _table(out))


def _committed(work: Path) -> int:
    """Return how many pictures a run has embedded for good, read without its lock."""
    file = work / "ledger.sqlite3"
    if not file.exists():
        return 0
    copy = work.parent / "copy.sqlite3"
    copy.write_bytes(file.read_bytes())
    try:
        base = sqlite3.connect(copy)
        try:
            return int(base.execute("SELECT count(*) FROM face").fetchone()[0])
        finally:
            base.close()
    except sqlite3.DatabaseError:  # copied amid a commit
        return 0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x,y\n1,2\n", "`a` and `b` must be among them"),
        ("a,b,score\n1,2,3\n", "every column needs a name of its own"),
        ("a,b\n1,2,3\n", "line 2: 3 values for 2 columns"),
        ('a,b\n"1,2\n', "line 2: unexpected end of data"),
        ("", "`a` and `b` must be among them"),
    ],
)
def test_a_table_that_is_none_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, complaint: str
) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(text)
    assert main(["batch", str(pairs), "--out", str(tmp_path / "scores.csv")]) == 1
    told = capsys.readouterr().err
    assert complaint in told
    assert told.count("\n") == 1


def test_a_table_that_was_put_right_needs_nothing_deleted(pairs: Path) -> None:
    out, right = pairs.with_name("scores.csv"), pairs.read_text()
    pairs.write_text(right + "8,too few\n")
    assert "line 9: 2 values for 3 columns" in _batch(pairs, out).stderr
    pairs.write_text(right)
    assert _batch(pairs, out).returncode == 0


@pytest.mark.parametrize(
    ("out", "complaint"), [("pairs.csv", "Would take the place of the pairs"), ("folder.csv", "Is a folder")]
)
def test_a_place_that_is_taken_is_told_at_once(
    pairs: Path, capsys: pytest.CaptureFixture[str], out: str, complaint: str
) -> None:
    pairs.with_name("folder.csv").mkdir()
    assert main(["batch", str(pairs), "--out", str(pairs.with_name(out))]) == 1
    assert capsys.readouterr().err == f"compareface: {pairs.with_name(out)}: {complaint}\n"
    assert pairs.read_text() == _HEAD + _ROWS


def test_pairs_from_a_pipe_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pairs.csv")
    assert main(["batch", str(tmp_path / "pairs.csv"), "--out", str(tmp_path / "scores.csv")]) == 1
    assert "must be a file" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["", ".xlsx"])
def test_another_kind_of_file_is_refused(pairs: Path, capsys: pytest.CaptureFixture[str], suffix: str) -> None:
    assert main(["batch", str(pairs), "--out", str(pairs.with_name("scores")) + suffix]) == 1
    assert "scores are written as .csv or .parquet" in capsys.readouterr().err


def test_parquet_has_the_same_rows(pairs: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra `batch` is not installed")
    out, table = pairs.with_name("scores.parquet"), pairs.with_name("scores.csv")
    assert _batch(pairs, out).returncode == _batch(pairs, table).returncode == 0
    found = parquet.read_table(out).to_pylist()
    assert [{name: "" if cell is None else str(cell) for name, cell in row.items()} for row in found] == _table(table)


def test_work_of_another_run_is_not_gone_on_with(tmp_path: Path) -> None:
    with Checkpoint(tmp_path / "work", "one") as ledger:
        ledger.list_names(["a", "b", "a"])
        ledger.add([ImageRecord("a", None, ErrorCode.IMAGE_EMPTY)])
    with pytest.raises(BatchError, match="left from a batch of other pairs"):
        Checkpoint(tmp_path / "work", "another")
    with Checkpoint(tmp_path / "work", "one") as ledger:
        assert (ledger.is_listed, ledger.counts(), list(ledger.open_names())) == (True, (2, 1), ["b"])
        with pytest.raises(BatchError, match="in use by another run"):
            Checkpoint(tmp_path / "work", "one")


def test_what_may_have_passed_is_tried_again_and_what_stays_is_not(tmp_path: Path) -> None:
    lasting = [
        ImageRecord("empty", None, ErrorCode.IMAGE_EMPTY),
        ImageRecord("bad", b"bad", ErrorCode.IMAGE_DECODE_FAILED),
    ]
    passing = [
        ImageRecord("busy far side", None, ErrorCode.IMAGE_DOWNLOAD_ERROR),
        ImageRecord("slow far side", None, ErrorCode.REQUEST_TIMEOUT),
        ImageRecord("slow picture", b"slow", ErrorCode.REQUEST_TIMEOUT),
        ImageRecord("its copy", b"slow", None),
        ImageRecord("our defect", b"odd", ErrorCode.SERVER_ERROR),
    ]
    vector = np.ones(128, np.float32)
    with Checkpoint(tmp_path / "work", "one") as ledger:
        ledger.list_names(seen.name for seen in (*lasting, *passing, ImageRecord("face", b"face", vector)))
        ledger.add([*lasting, *passing, ImageRecord("face", b"face", vector)])
        assert ledger.counts() == (8, 8)
        assert ledger.outcome("its copy") is ErrorCode.REQUEST_TIMEOUT, "at the end of a run it is told"
    with Checkpoint(tmp_path / "work", "one") as ledger:
        assert list(ledger.open_names()) == [seen.name for seen in passing]
        ledger.add([ImageRecord("slow picture", b"slow", vector), ImageRecord("its copy", b"slow", None)])
        assert np.array_equal(ledger.outcome("its copy"), vector)
        assert ledger.outcome("bad") is ErrorCode.IMAGE_DECODE_FAILED


def test_an_address_may_be_written_in_capitals(
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


def test_a_full_disk_is_told_and_what_was_done_before_is_kept(tmp_path: Path) -> None:
    names = [str(number) for number in range(2000)]
    vectors = [ImageRecord(name, name.encode(), np.ones(128, np.float32)) for name in names]
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Checkpoint(tmp_path / "work", "one") as ledger:
        ledger.list_names(names)
        ledger.add(vectors[:1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**18, most))
        try:
            with pytest.raises(BatchError, match="the same command goes on"):
                ledger.add(vectors[1:])
            with pytest.raises(BatchError, match=r"another: .*full|another: .*I/O"):
                Checkpoint(tmp_path / "another", "x" * 2**19)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        assert ledger.counts() == (2000, 1)


def test_a_link_in_the_place_of_the_work_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o755)
    (tmp_path / "work").symlink_to("elsewhere")
    with pytest.raises(BatchError, match="is a link"):
        Checkpoint(tmp_path / "work", "one")
    assert stat.S_IMODE((tmp_path / "elsewhere").stat().st_mode) == 0o755
