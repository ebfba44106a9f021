"""The state of a batch on disk."""

import resource
import stat
from pathlib import Path

import numpy as np
import pytest

from app.errors import ErrorCode
from app.tools.batch.checkpoint import BatchError, Checkpoint, FileCode, ImageRecord


def test_a_checkpoint_of_another_batch_is_not_continued(tmp_path: Path) -> None:
    with Checkpoint.open(tmp_path / "work", "one") as checkpoint:
        checkpoint.add_names(["a", "b", "a"])
        checkpoint.add([ImageRecord("a", None, ErrorCode.IMAGE_EMPTY)])
    with (
        pytest.raises(BatchError, match="belongs to a batch with other pairs"),
        Checkpoint.open(tmp_path / "work", "another"),
    ):
        pass
    with Checkpoint.open(tmp_path / "work", "one") as checkpoint:
        assert (checkpoint.is_listed, checkpoint.counts(), list(checkpoint.pending_names())) == (True, (2, 1), ["b"])
        with pytest.raises(BatchError, match="in use by another run"), Checkpoint.open(tmp_path / "work", "one"):
            pass


def test_transient_errors_are_retried_and_others_are_kept(tmp_path: Path) -> None:
    permanent = [
        ImageRecord("empty", None, ErrorCode.IMAGE_EMPTY),
        ImageRecord("bad", b"bad", ErrorCode.IMAGE_DECODE_FAILED),
    ]
    transient = [
        ImageRecord("busy server", None, ErrorCode.IMAGE_DOWNLOAD_ERROR),
        ImageRecord("missing file", None, FileCode.IMAGE_NOT_FOUND),
        ImageRecord("slow server", None, ErrorCode.REQUEST_TIMEOUT),
        ImageRecord("slow image", b"slow", ErrorCode.REQUEST_TIMEOUT),
        ImageRecord("its copy", b"slow", None),
        ImageRecord("server error", b"odd", ErrorCode.SERVER_ERROR),
    ]
    embedding = np.ones(128, np.float32)
    with Checkpoint.open(tmp_path / "work", "one") as checkpoint:
        checkpoint.add_names(
            record.name for record in (*permanent, *transient, ImageRecord("face", b"face", embedding))
        )
        checkpoint.add([*permanent, *transient, ImageRecord("face", b"face", embedding)])
        assert checkpoint.counts() == (9, 9)
        assert checkpoint.outcome("its copy") is ErrorCode.REQUEST_TIMEOUT, "until the next run the error is the result"
    with Checkpoint.open(tmp_path / "work", "one") as checkpoint:
        assert list(checkpoint.pending_names()) == [record.name for record in transient]
        checkpoint.add([ImageRecord("slow image", b"slow", embedding), ImageRecord("its copy", b"slow", None)])
        assert np.array_equal(checkpoint.outcome("its copy"), embedding)
        assert checkpoint.outcome("bad") is ErrorCode.IMAGE_DECODE_FAILED


def test_a_full_disk_is_reported_and_earlier_work_is_kept(tmp_path: Path) -> None:
    names = [str(number) for number in range(2000)]
    records = [ImageRecord(name, name.encode(), np.ones(128, np.float32)) for name in names]
    _, hard_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Checkpoint.open(tmp_path / "work", "one") as checkpoint:
        checkpoint.add_names(names)
        checkpoint.add(records[:1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**18, hard_limit))
        try:
            with pytest.raises(BatchError, match="run the same command again"):
                checkpoint.add(records[1:])
            with (
                pytest.raises(BatchError, match=r"another: .*full|another: .*I/O"),
                Checkpoint.open(tmp_path / "another", "x" * 2**19),
            ):
                pass
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard_limit, hard_limit))
        assert checkpoint.counts() == (2000, 1)


def test_a_symbolic_link_as_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o755)
    (tmp_path / "work").symlink_to("elsewhere")
    with pytest.raises(BatchError, match="is a symbolic link"), Checkpoint.open(tmp_path / "work", "one"):
        pass
    assert stat.S_IMODE((tmp_path / "elsewhere").stat().st_mode) == 0o755
