"""Reading, downloading and embedding the images of a batch."""

import asyncio
import socket
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from app.cli import main
from app.engine import open_fetcher
from app.environment import Settings
from app.errors import ErrorCode
from app.ops.metrics import Metrics
from app.settings import FetchSettings
from app.tools.batch.backend import EmbeddingBackend
from app.tools.batch.checkpoint import Checkpoint, FileCode
from app.tools.batch.embedding import BatchEmbedder
from app.tools.embedding import Outcome
from tests.support.images import astronaut, jpeg
from tests.tools.batch.process import read_table


async def test_a_cancelled_batch_commits_the_finished_images(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}").write_bytes(bytes([number]))

    async def embed(encoded: bytes) -> Outcome:
        if encoded == b"\3":
            await asyncio.sleep(60)
        return np.ones(4, np.float32)

    with Checkpoint.open(tmp_path / "work", "one") as checkpoint:
        checkpoint.add_names(map(str, range(5)))
        async with open_fetcher(Settings(), Metrics()) as fetcher:
            embedder = BatchEmbedder(checkpoint, tmp_path, fetcher, EmbeddingBackend(1, embed))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(embedder.embed_all(1, lambda _: None), 1.0)
        assert list(checkpoint.pending_names()) == ["3", "4"]


async def test_each_content_is_embedded_once(tmp_path: Path) -> None:
    """Copies arrive while the image is in progress, before it is committed, and after that."""
    names = [f"{number:03}" for number in range(200)]
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(b"bad" if number % 10 == 9 else bytes([number % 3]))
    embedded: list[bytes] = []

    async def embed(encoded: bytes) -> Outcome:
        embedded.append(encoded)
        await asyncio.sleep(0.05)
        return ErrorCode.IMAGE_DECODE_FAILED if encoded == b"bad" else np.full(4, encoded[0], np.float32)

    done: list[int] = []
    with Checkpoint.open(tmp_path / "work", "one") as checkpoint:
        checkpoint.add_names([*names, "absent", ""])
        async with open_fetcher(Settings(), Metrics()) as fetcher:
            await BatchEmbedder(checkpoint, tmp_path, fetcher, EmbeddingBackend(1, embed)).embed_all(4, done.append)
        assert sorted(embedded) == [b"\0", b"\1", b"\2", b"bad"]
        assert (checkpoint.counts(), checkpoint.distinct_images(), len(done)) == ((202, 202), 4, 202)
        assert checkpoint.outcome("009") is checkpoint.outcome("199") is ErrorCode.IMAGE_DECODE_FAILED
        assert checkpoint.outcome("absent") is FileCode.IMAGE_NOT_FOUND
        assert checkpoint.outcome("") is ErrorCode.IMAGE_EMPTY
        assert np.array_equal(checkpoint.outcome("001"), checkpoint.outcome("196"))


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
    assert (read_table(out)[0]["score"], read_table(out)[0]["code"]) == ("100.0", "")
    assert '"GET /face.jpg' in capsys.readouterr().err


async def test_a_url_that_exceeds_the_deadline_does_not_end_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.tools.batch.embedding._FETCH_TIMEOUT_S", 0.3)
    settings = Settings(fetch=FetchSettings(allow=("127.0.0.1",), timeout_s=30))

    async def embed(_: bytes) -> Outcome:
        raise AssertionError

    with socket.create_server(("127.0.0.1", 0)) as silent, Checkpoint.open(tmp_path / "work", "one") as checkpoint:
        name = f"http://127.0.0.1:{silent.getsockname()[1]}/a.jpg"
        checkpoint.add_names([name])
        async with open_fetcher(settings, Metrics()) as fetcher:
            embedder = BatchEmbedder(checkpoint, tmp_path, fetcher, EmbeddingBackend(1, embed))
            await embedder.embed_all(1, lambda _: None)
        assert checkpoint.outcome(name) is ErrorCode.REQUEST_TIMEOUT
