"""A batch from the table of pairs to the table of scores; after an interruption the next run continues."""

from __future__ import annotations

import asyncio
import errno
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

import app
from app.domain import FaceModelVersion
from app.engine import open_fetcher
from app.environment import Settings
from app.ops.metrics import Metrics
from app.packs.files import digest
from app.packs.manifest import Pack
from app.packs.store import Store
from app.scoring import calibration
from app.scoring.scale import Scale
from app.tools.batch import score_table
from app.tools.batch.backend import EmbeddingBackend, open_local_backend
from app.tools.batch.checkpoint import BatchError, Checkpoint
from app.tools.batch.embedding import BatchEmbedder
from app.tools.batch.score_table import Row

_READ_AHEAD = 32
"""Images that are read or downloaded while all workers are busy."""


class BatchJob(NamedTuple):
    """The pairs to score, the file to write, and the pack that embeds the images."""

    settings: Settings
    store: Store
    pack: Pack
    pairs: Path
    out: Path

    @property
    def identity(self) -> str:
        """Everything that the embeddings depend on; a checkpoint of another identity is not continued."""
        runtime, file = self.settings.runtime, self.pack.embedder.file_for(self.settings.runtime)
        environment = (app.__version__, runtime.device, file, self.settings.compare.matching_strategy.value)
        pack = (self.pack.name, self.pack.detector, self.pack.embedder)
        return repr((environment, *pack, str(self.pairs.resolve()), digest(self.pairs)))

    def scale(self) -> Scale:
        path = self.store.calibration_path(self.pack.name)
        return Scale(calibration.load(path, self.pack.embedder_sha256), FaceModelVersion.V3)


class BatchSummary(NamedTuple):
    """``names``: distinct names in the table; ``images``: distinct contents; ``codes``: rows by code, "" if scored."""

    names: int
    images: int
    codes: Counter[str]

    def __str__(self) -> str:
        failed = {code: count for code, count in self.codes.most_common() if code}
        reasons = ", ".join(f"{code} {count:,}" for code, count in failed.items())
        rows = f"{self.codes['']:,} scored, {sum(failed.values()):,} not" + (f": {reasons}" if reasons else "")
        return f"{self.images:,} distinct images of {self.names:,} names; {rows}"


def run_batch(job: BatchJob, ray_address: str | None = None) -> BatchSummary:
    """Embed the images, on a Ray cluster if ``ray_address`` is given, and write the scores."""
    write = score_table.writer(job.out)
    _check_paths(job.pairs, job.out)
    columns = score_table.columns(job.pairs)
    folder = job.out.with_name(f".{job.out.name}.work")
    with Checkpoint(folder, job.identity) as checkpoint:
        if not checkpoint.is_listed:
            checkpoint.add_names(name for row in score_table.rows(job.pairs) for name in (row["a"], row["b"]))
        asyncio.run(_embed_images(job, checkpoint, ray_address))
        draft = folder / f"scores{job.out.suffix}"
        draft.touch(mode=0o600)
        codes = Counter[str]()
        scored_rows = score_table.scored(checkpoint, job.scale(), score_table.rows(job.pairs))
        write(draft, columns, _count_codes(scored_rows, codes))
        with draft.open("rb") as stream:
            os.fsync(stream.fileno())
        summary = BatchSummary(checkpoint.counts()[0], checkpoint.distinct_images(), codes)
        draft.replace(job.out)
        checkpoint.remove()
    return summary


def _check_paths(pairs: Path, out: Path) -> None:
    """Raise ``OSError`` before the work starts for paths that would make it fail at its end."""
    if not out.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "No such folder", str(out.parent))
    if out.is_dir():
        raise IsADirectoryError(errno.EISDIR, "Is a folder", str(out))
    if pairs.exists() and not pairs.is_file():  # a pipe
        raise OSError(errno.ESPIPE, "Must be a regular file, because it is read several times", str(pairs))
    if out.exists() and out.samefile(pairs):
        raise FileExistsError(errno.EEXIST, "Would overwrite the pairs", str(out))


def _count_codes(rows: Iterable[Row], codes: Counter[str]) -> Iterator[Row]:
    """Yield the rows unchanged, and count their codes in ``codes``."""
    for row in rows:
        codes[row["code"]] += 1
        yield row


async def _embed_images(job: BatchJob, checkpoint: Checkpoint, ray_address: str | None) -> None:
    """Embed all images that the checkpoint does not have yet; show a progress bar on stderr."""
    total, done = checkpoint.counts()
    if done == total:
        return
    with _open_backend(job, ray_address) as backend:
        async with open_fetcher(job.settings, Metrics()) as fetcher:
            embedder = BatchEmbedder(checkpoint, job.pairs.parent, fetcher, backend)
            with tqdm(total=total, initial=done, desc="Embedding", unit="image", disable=None) as bar:
                try:
                    await embedder.embed_all(backend.concurrency + _READ_AHEAD, bar.update)
                except ExceptionGroup as errors:  # the first error cancelled the other tasks
                    raise errors.exceptions[0] from errors


def _open_backend(job: BatchJob, ray_address: str | None) -> AbstractContextManager[EmbeddingBackend]:
    if ray_address is None:
        return open_local_backend(job.settings, job.store, job.pack)
    try:
        from app.tools.batch.cluster import open_cluster  # noqa: PLC0415 - Ray is an optional extra
    except ImportError as error:
        raise BatchError("--ray needs the extra `ray`: pip install '.[ray]' in the checkout") from error
    return open_cluster(ray_address, job.settings, job.pack)
