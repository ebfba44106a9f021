"""``compareface batch PAIRS.csv --out SCORES.parquet``: score a table of pairs, each distinct picture embedded once."""

from __future__ import annotations

import argparse
import asyncio
import errno
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import app
from app.environment import Settings, load_settings

if TYPE_CHECKING:
    from app.domain import Embedding
    from app.engine import Pipelines
    from app.packs.manifest import Pack
    from app.packs.store import Store
    from app.scoring.scale import Scale
    from app.service.face_pipeline import EmbeddingPipeline
    from app.tools.batch.checkpoint import Checkpoint
    from app.tools.batch.embedding import Embed
    from app.tools.batch.score_table import Row

_AHEAD = 32
"""Pictures that are being read or fetched while all workers are busy."""
_PICTURE_S = 60.0


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "batch",
        help="score a table of pairs",
        description="Add score, code and image to each row of a CSV file whose columns a and b name files (relative "
        "to it) or http(s) addresses. Interrupted, the same command goes on where it stopped.",
    )
    parser.add_argument("pairs", metavar="PAIRS.csv", type=Path)
    parser.add_argument("--out", metavar="SCORES", type=Path, required=True, help="file to write, .csv or .parquet")
    parser.add_argument("--pack", metavar="NAME", help="default: the configured one")
    parser.add_argument("--ray", metavar="ADDRESS", help="embed on a Ray cluster (`auto`, or HOST:PORT)")
    parser.set_defaults(run=run)


class EmbeddingBackend(NamedTuple):
    """Where pictures are embedded: how, and how many at a time."""

    embed: Embed
    concurrency: int


def run(args: argparse.Namespace) -> int:
    from app.tools.batch import score_table  # noqa: PLC0415
    from app.tools.batch.checkpoint import Checkpoint  # noqa: PLC0415
    from app.tools.evaluation.measure import open_store  # noqa: PLC0415 - heavy; the parser must stay quick

    settings = load_settings()
    out: Path = args.out
    write = score_table.writer(out)
    _check(args.pairs, out)
    names = score_table.columns(args.pairs)
    store, pack = open_store(settings, args.pack)
    folder = out.with_name(f".{out.name}.work")
    with Checkpoint(folder, _identity(settings, pack, args.pairs)) as ledger:
        if not ledger.is_listed:
            ledger.list_names(name for row in score_table.rows(args.pairs) for name in (row["a"], row["b"]))
        asyncio.run(_embed(args, settings, store, pack, ledger))
        draft = folder / f"scores{out.suffix}"
        draft.touch(mode=0o600)
        codes = Counter[str]()
        write(
            draft, names, _counted(score_table.scored(ledger, _scale(store, pack), score_table.rows(args.pairs)), codes)
        )
        with draft.open("rb") as stream:
            os.fsync(stream.fileno())
        pictures = f"{ledger.distinct():,} distinct pictures of {ledger.counts()[0]:,} names"
        print(f"{out}: {pictures}; {_told(codes)}", file=sys.stderr)
        draft.replace(out)
        ledger.remove()
    return 0


def _counted(table: Iterable[Row], codes: Counter[str]) -> Iterator[Row]:
    """Pass the rows on; ``codes`` has in the end how many have which code."""
    for row in table:
        codes[row["code"]] += 1
        yield row


def _told(codes: Counter[str]) -> str:
    """Return how many rows have a score, and why the others have none."""
    without = {code: number for code, number in codes.most_common() if code}
    reasons = ", ".join(f"{code} {number:,}" for code, number in without.items())
    return f"{codes['']:,} scored, {sum(without.values()):,} not" + (f": {reasons}" if reasons else "")


def _check(pairs: Path, out: Path) -> None:
    """Raise what would otherwise be told after a night's work, or never."""
    if not out.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "No such folder", str(out.parent))
    if out.is_dir():
        raise IsADirectoryError(errno.EISDIR, "Is a folder", str(out))
    if pairs.exists() and not pairs.is_file():  # a pipe
        raise OSError(errno.ESPIPE, "Is read several times and must be a file", str(pairs))
    if out.exists() and out.samefile(pairs):
        raise FileExistsError(errno.EEXIST, "Would take the place of the pairs", str(out))


def _identity(settings: Settings, pack: Pack, pairs: Path) -> str:
    """Return what embeddings depend on; work of another identity must not be gone on with."""
    from app.tools.batch import score_table  # noqa: PLC0415

    runtime = settings.runtime
    how = (app.__version__, runtime.device, pack.embedder.file_for(runtime), settings.compare.matching_strategy.value)
    return repr((how, pack.name, pack.detector, pack.embedder, str(pairs.resolve()), score_table.digest(pairs)))


def require_expected_embedder(pipelines: Pipelines, pack: Pack, settings: Settings) -> EmbeddingPipeline:
    """Return the embedding_pipeline; raise :class:`BatchError` where another network runs than in the rest of the batch."""
    from app.tools.batch.checkpoint import BatchError  # noqa: PLC0415

    file = pack.embedder.file_for(settings.runtime)
    if file not in pipelines.networks:
        raise BatchError(f"{file} does not run here, as the log says; COMPAREFACE_RUNTIME__INT8=false runs another")
    return pipelines.embedding


def _scale(store: Store, pack: Pack) -> Scale:
    from app.domain import FaceModelVersion  # noqa: PLC0415
    from app.scoring import calibration  # noqa: PLC0415
    from app.scoring.scale import Scale  # noqa: PLC0415

    found = calibration.load(store.calibration_path(pack.name), pack.embedder_sha256)
    return Scale(found, FaceModelVersion.V3)


async def _embed(args: argparse.Namespace, settings: Settings, store: Store, pack: Pack, ledger: Checkpoint) -> None:
    from tqdm import tqdm  # noqa: PLC0415

    from app.engine import open_fetcher  # noqa: PLC0415
    from app.ops.metrics import Metrics  # noqa: PLC0415
    from app.tools.batch.embedding import Pictures  # noqa: PLC0415

    total, done = ledger.counts()
    if done == total:
        return
    if args.ray:
        from app.tools.batch.cluster import open_cluster  # noqa: PLC0415

        place = open_cluster(args.ray, settings, pack)
    else:
        place = _open_here(settings, store, pack)
    bar = tqdm(total=total, initial=done, desc="Embedding", unit="picture", disable=None)
    async with place as (embed, concurrency), open_fetcher(settings, Metrics()) as fetcher:
        with bar:
            try:
                await Pictures(ledger, args.pairs.parent, fetcher, embed).embed_all(concurrency + _AHEAD, bar.update)
            except ExceptionGroup as errors:  # the first ended the others
                raise errors.exceptions[0] from errors


@asynccontextmanager
async def _open_here(settings: Settings, store: Store, pack: Pack) -> AsyncIterator[EmbeddingBackend]:
    """Open the pack on this machine's cores. A picture that kills its decoder must not end a night's work."""
    from app.domain import CompareOptions  # noqa: PLC0415
    from app.engine import open_pipelines, open_resources  # noqa: PLC0415
    from app.ops.metrics import Metrics  # noqa: PLC0415
    from app.ops.stage_timer import StageTimer  # noqa: PLC0415

    with open_resources(settings, Metrics()) as resources:
        pipelines = open_pipelines(settings, store, pack, resources.shared)
        pipeline = require_expected_embedder(pipelines, pack, settings)

        async def embed(data: bytes) -> Embedding:
            return await resources.workers.run(
                lambda: pipeline.embed(data, CompareOptions(), StageTimer.after(_PICTURE_S))
            )

        yield EmbeddingBackend(embed, resources.budget.workers)
