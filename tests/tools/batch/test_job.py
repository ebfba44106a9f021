"""A batch of real images: interruption, continuation, and paths that cannot be used."""

import os
import signal
import sqlite3
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli import main
from app.environment import Settings
from app.packs.manifest import Pack
from app.packs.store import Store
from app.tools.batch.job import BatchJob
from tests.support.images import another_shot, astronaut, jpeg
from tests.tools.batch.process import batch_command, read_table, run_batch

_PAIRS = "a,b\nastronaut.jpg,shot.jpg\n"


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    (tmp_path / "astronaut.jpg").write_bytes(jpeg(astronaut()))
    (tmp_path / "shot.jpg").write_bytes(jpeg(another_shot(astronaut())))
    (tmp_path / "pairs.csv").write_text(_PAIRS)
    return tmp_path / "pairs.csv"


def _crops(folder: Path, number: int) -> Iterator[str]:
    """Write distinct images of the same face; yield their names."""
    for index in range(number):
        name = f"crop{index}.jpg"
        (folder / name).write_bytes(jpeg(astronaut()[:300, index : index + 300]))
        yield name


def test_a_killed_batch_continues_and_writes_the_same_bytes(tmp_path: Path) -> None:
    names = list(_crops(tmp_path, 120))
    pairs, out, uninterrupted = (tmp_path / name for name in ("pairs.csv", "scores.csv", "uninterrupted.csv"))
    pairs.write_text("a,b\n" + "".join(f"{a},{b}\n" for a, b in zip(names, [*names[1:], names[0]], strict=True)))
    work = tmp_path / ".scores.csv.work"
    with subprocess.Popen(batch_command(pairs, out), stderr=subprocess.DEVNULL, process_group=0) as process:
        while process.poll() is None and not _committed(work):
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL, "the batch ended before it could be killed"
    assert not out.exists()
    assert {stat.S_IMODE(path.stat().st_mode) for path in work.iterdir()} == {0o600}
    kept = _committed(work)
    assert 0 < kept < len(names)
    completed = run_batch(pairs, out)
    assert completed.returncode == 0, completed.stderr
    assert not work.exists()
    assert run_batch(pairs, uninterrupted).returncode == 0
    assert out.read_bytes() == uninterrupted.read_bytes()
    assert all(row["score"] for row in read_table(out))


def test_an_interrupted_batch_keeps_its_work_and_prints_how_to_continue(tmp_path: Path) -> None:
    names = list(_crops(tmp_path, 480))
    pairs, out, work = (tmp_path / name for name in ("pairs.csv", "scores.csv", ".scores.csv.work"))
    pairs.write_text("a,b\n" + "".join(f"{name},{name}\n" for name in names))
    with subprocess.Popen(batch_command(pairs, out), stderr=subprocess.PIPE, text=True, process_group=0) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("Embedding: 0 of 480 images, ")
        time.sleep(0.8)
        os.killpg(process.pid, signal.SIGINT)
        errors = process.stderr.read()
    assert process.returncode == 130, errors
    kept = _committed(work)
    message = f"interrupted; {kept} of 480 images are done and kept in {work}: run the same command again to continue"
    assert message in errors
    assert 0 < kept < 480
    completed = run_batch(pairs, out)
    assert f"Embedding: {kept} of 480 images" in completed.stderr
    assert len(read_table(out)) == 480


def test_a_finished_batch_is_not_repeated(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = pairs.with_name("scores.csv")

    def run() -> str:
        assert main(["batch", str(pairs), "--out", str(out)]) == 0
        return capsys.readouterr().err

    assert "1 scored" in run()
    written = out.stat().st_mtime_ns
    assert run() == f"{out}: complete already, nothing to do; delete the file to score the pairs again\n"
    assert out.stat().st_mtime_ns == written
    out.write_text("changed")
    assert "1 scored" in run()
    pairs.write_text(_PAIRS + "shot.jpg,shot.jpg\n")
    assert "2 scored" in run()


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


def test_after_a_failed_start_a_corrected_table_is_accepted(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = pairs.with_name("scores.csv")
    pairs.write_text(_PAIRS + "too few\n")
    assert main(["batch", str(pairs), "--out", str(out)]) == 1
    assert "line 3: 1 values for 2 columns" in capsys.readouterr().err
    pairs.write_text(_PAIRS)
    assert main(["batch", str(pairs), "--out", str(out)]) == 0


def test_another_degradation_model_is_another_batch(settings: Settings, pack: Pack, tmp_path: Path) -> None:
    (tmp_path / pack.name).mkdir()
    (tmp_path / "pairs.csv").write_text("a,b\n")
    job = BatchJob(settings, Store(tmp_path, tmp_path), pack, tmp_path / "pairs.csv", tmp_path / "scores.csv")
    identities = {job.identity}
    for content in (b"one", b"two"):
        (tmp_path / pack.name / "degradation.npz").write_bytes(content)
        identities.add(job.identity)
    assert len(identities) == 3


@pytest.mark.parametrize(
    ("out", "message"), [("pairs.csv", "Would overwrite the pairs"), ("folder.csv", "Is a folder")]
)
def test_an_output_path_that_cannot_be_written_is_refused(
    pairs: Path, capsys: pytest.CaptureFixture[str], out: str, message: str
) -> None:
    pairs.with_name("folder.csv").mkdir()
    assert main(["batch", str(pairs), "--out", str(pairs.with_name(out))]) == 1
    assert capsys.readouterr().err == f"compareface: {pairs.with_name(out)}: {message}\n"
    assert pairs.read_text() == _PAIRS


def test_pairs_from_a_pipe_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pairs.csv")
    assert main(["batch", str(tmp_path / "pairs.csv"), "--out", str(tmp_path / "scores.csv")]) == 1
    assert "Must be a regular file" in capsys.readouterr().err
