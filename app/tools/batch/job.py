"""A batch from the table of pairs to the table of scores; after an interruption the next run continues."""

import asyncio
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
        degradation = self.store.degradation_path(self.pack)
        pack = (self.pack.name, self.pack.detector, self.pack.embedder, degradation and digest(degradation))
        return repr((environment, *pack, str(self.pairs.resolve()), digest(self.pairs)))

    def run(self, ray_address: str | None) -> str:
        """Embed the images, on a Ray cluster if ``ray_address`` is given; write the scores and return a summary."""
        write = score_table.writer(self.out)
        _check_paths(self.pairs, self.out)
        columns = score_table.columns(self.pairs)
        measured = calibration.load(self.store.calibration_path(self.pack.name), self.pack.embedder_sha256)
        table = measured.table(self.settings.compare.population)
        folder = self.out.with_name(f".{self.out.name}.work")
        with Checkpoint.open(folder, self.identity) as checkpoint:
            if not checkpoint.is_listed:
                checkpoint.add_names(name for row in score_table.rows(self.pairs) for name in (row["a"], row["b"]))
            asyncio.run(self._embed_images(checkpoint, ray_address))
            rows = score_table.scored(checkpoint, Scale(table, FaceModelVersion.V3), score_table.rows(self.pairs))
            draft, codes = folder / f"scores{self.out.suffix}", Counter[str]()
            draft.touch(mode=0o600)
            write(draft, columns, _count_codes(rows, codes))
            with draft.open("rb") as stream:
                os.fsync(stream.fileno())
            summary = _summary(checkpoint, codes)
            draft.replace(self.out)
            checkpoint.remove()
        return f"{summary}; population {self.settings.compare.population}: {table.data}"

    async def _embed_images(self, checkpoint: Checkpoint, ray_address: str | None) -> None:
        """Embed all images that the checkpoint does not have yet; show a progress bar on stderr."""
        total, done = checkpoint.counts()
        if done == total:
            return
        with self._open_backend(ray_address) as backend:
            async with open_fetcher(self.settings, Metrics()) as fetcher:
                embedder = BatchEmbedder(checkpoint, self.pairs.parent, fetcher, backend)
                with tqdm(total=total, initial=done, desc="Embedding", unit="image", disable=None) as bar:
                    try:
                        await embedder.embed_all(backend.concurrency + _READ_AHEAD, bar.update)
                    except ExceptionGroup as errors:  # the first error cancelled the other tasks
                        raise errors.exceptions[0] from errors

    def _open_backend(self, ray_address: str | None) -> AbstractContextManager[EmbeddingBackend]:
        if ray_address is None:
            return open_local_backend(self.settings, self.store, self.pack)
        try:
            from app.tools.batch.cluster import open_cluster  # noqa: PLC0415 - Ray is an optional extra
        except ImportError as error:
            raise BatchError("--ray needs the extra `ray`: pip install '.[ray]' in the checkout") from error
        return open_cluster(ray_address, self.settings, self.pack)


def _check_paths(pairs: Path, out: Path) -> None:
    """Raise :class:`BatchError` for paths that would otherwise fail only after all images are embedded."""
    if not out.parent.is_dir():
        raise BatchError(f"{out.parent}: No such folder")
    if out.is_dir():
        raise BatchError(f"{out}: Is a folder")
    if pairs.exists() and not pairs.is_file():  # a pipe
        raise BatchError(f"{pairs}: Must be a regular file, because it is read several times")
    if out.exists() and out.samefile(pairs):
        raise BatchError(f"{out}: Would overwrite the pairs")


def _count_codes(rows: Iterable[Row], codes: Counter[str]) -> Iterator[Row]:
    """Yield the rows unchanged, and count their codes in ``codes``."""
    for row in rows:
        codes[row["code"]] += 1
        yield row


def _summary(checkpoint: Checkpoint, codes: Counter[str]) -> str:
    failed = {code: count for code, count in codes.most_common() if code}
    reasons = ", ".join(f"{code} {count:,}" for code, count in failed.items())
    rows = f"{codes['']:,} scored, {sum(failed.values()):,} failed" + (f": {reasons}" if reasons else "")
    return f"{checkpoint.distinct_images():,} distinct images of {checkpoint.counts()[0]:,} names; pairs: {rows}"
