"""``compareface batch`` as a separate process on real images."""

import json
import stat
from collections import Counter
from pathlib import Path

import pytest

from app.cli import main
from tests.support.images import another_shot, astronaut, cast, jpeg
from tests.tools.batch.process import read_table, run_batch

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


def test_each_row_has_the_score_of_compare_or_an_error_code(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = pairs.with_name("scores.csv")
    completed = run_batch(pairs, out)
    assert completed.returncode == 0, completed.stderr
    rows = read_table(out)
    codes = Counter(row["code"] for row in rows)
    assert "4 distinct images of 7 names; " in completed.stderr, "a copy counts once"
    assert f"; pairs: {codes['']} scored, {len(rows) - codes['']} failed: " in completed.stderr
    assert all(f"{code} {number}" in completed.stderr for code, number in codes.items() if code)
    assert "; population general: LFW" in completed.stderr
    assert [row["id"] for row in rows] == ["1", "2, again", "3", "4", "5", "6", "7"]
    for row in rows[:3]:
        assert main(["compare", "--json", str(pairs.parent / row["a"]), str(pairs.parent / row["b"])]) == 0
        assert float(row["score"]) == json.loads(capsys.readouterr().out)["Score"]
    assert float(rows[5]["score"]) == 100
    assert [(row["score"], row["code"], row["image"]) for row in (rows[3], rows[4], rows[6])] == [
        ("", "FailedOperation.ImageDecodeFailed", "A"),
        ("", "ImageNotFound", "B"),
        ("", "InvalidParameterValue.ImageEmpty", "A"),
    ]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert not list(pairs.parent.glob(".*")), "embeddings are deleted, and a run with a missing file is not finished"


def test_a_full_disk_is_reported_with_the_file(pairs: Path) -> None:
    out, work = pairs.with_name("scores.csv"), pairs.with_name(".scores.csv.work")
    work.mkdir()
    (work / "scores.csv").symlink_to("/dev/full")
    completed = run_batch(pairs, out)
    assert completed.returncode == 1
    assert completed.stderr.endswith(f"compareface: {out}: No space left on device\n")


def test_parquet_has_the_same_rows(pairs: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra `batch` is not installed")
    out, table = pairs.with_name("scores.parquet"), pairs.with_name("scores.csv")
    assert run_batch(pairs, out).returncode == run_batch(pairs, table).returncode == 0
    rows = parquet.read_table(out).to_pylist()
    assert [{name: "" if cell is None else str(cell) for name, cell in row.items()} for row in rows] == read_table(
        table
    )
