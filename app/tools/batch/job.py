"""A batch from the table of pairs to the table of scores; after an interruption the next run continues."""

import asyncio
import hashlib
import os
import sys
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
from app.ops.process import install_command
from app.packs.files import digest
from app.packs.manifest import Pack
from app.packs.store import Store
from app.scoring import calibration
from app.scoring.scale import Scale
from app.tools.batch import score_table
from app.tools.batch.backend import EmbeddingBackend, open_local_backend
from app.tools.batch.checkpoint import TRANSIENT_CODES, BatchError, Checkpoint
from app.tools.batch.embedding import BatchEmbedder
from app.tools.batch.score_table import Row
from app.tools.files import named
from app.tools.progress import progress

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
        if self._is_finished():
            return "complete already, nothing to do; delete the file to score the pairs again"
        folder = self.out.with_name(f".{self.out.name}.work")
        with Checkpoint.open(folder, self.identity) as checkpoint:
            if not checkpoint.is_listed:
                checkpoint.add_names(name for row in score_table.rows(self.pairs) for name in (row["a"], row["b"]))
            self._embed_or_report_interruption(checkpoint, folder, ray_address)
            rows = score_table.scored(checkpoint, Scale(table, FaceModelVersion.V3), score_table.rows(self.pairs))
            draft, codes = folder / f"scores{self.out.suffix}", Counter[str]()
            draft.touch(mode=0o600)
            with named(self.out):
                write(draft, columns, _count_codes(rows, codes))
                with draft.open("rb") as stream:
                    os.fsync(stream.fileno())
            summary = _summary(checkpoint, codes)
            draft.replace(self.out)
            if not any(code.value in codes for code in TRANSIENT_CODES):
                with named(self._finished_marker):
                    self._finished_marker.write_text(self._finished_digest(), encoding="ascii")
            checkpoint.remove()
        return f"{summary}; population {self.settings.compare.population}: {table.data}"

    @property
    def _finished_marker(self) -> Path:
        return self.out.with_name(f".{self.out.name}.done")

    def _is_finished(self) -> bool:
        """Return whether the output is that of an earlier run of this job, without errors that a run retries."""
        marker = self._finished_marker
        return marker.is_file() and self.out.is_file() and marker.read_text("ascii") == self._finished_digest()

    def _finished_digest(self) -> str:
        """Return a digest of the output and of everything that it depends on, except the images."""
        calibration_file = self.store.calibration_path(self.pack.name)
        parts = (self.identity, self.settings.compare.population, digest(calibration_file), digest(self.out))
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def _embed_or_report_interruption(self, checkpoint: Checkpoint, folder: Path, ray_address: str | None) -> None:
        try:
            asyncio.run(self._embed_images(checkpoint, ray_address))
        except KeyboardInterrupt:
            total, done = checkpoint.counts()
            text = f"interrupted; {done:,} of {total:,} images are done and kept in {folder}"
            tqdm.write(f"compareface: {text}: run the same command again to continue", file=sys.stderr)
            raise

    async def _embed_images(self, checkpoint: Checkpoint, ray_address: str | None) -> None:
        """Embed all images that the checkpoint does not have yet; show a progress bar on stderr."""
        total, done = checkpoint.counts()
        if done == total:
            return
        with self._open_backend(ray_address) as backend:
            async with open_fetcher(self.settings, Metrics()) as fetcher:
                embedder = BatchEmbedder(checkpoint, self.pairs.parent, fetcher, backend)
                with progress(total=total, initial=done, description="Embedding", unit="image") as bar:
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
            raise BatchError(f"--ray needs the extra `ray`: run `{install_command('ray')}`") from error
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
