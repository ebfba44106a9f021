"""What ``evaluate`` and ``calibrate`` share: labelled faces -> pairs, counted by cosine."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from app.engine import open_local_pipelines
from app.environment import Settings
from app.packs.manifest import Pack
from app.packs.store import Store
from app.runtime.worker_pool import available_cores, thread_budget
from app.scoring.calibration import Calibration
from app.scoring.evaluation import Evaluation, Faces, Listed, evaluate, evaluate_listed
from app.scoring.pairs import PairCounts, count_listed, count_pairs
from app.tools.evaluation import pair_list
from app.tools.evaluation.gallery import Gallery, GalleryError, embed_pictures, list_pictures


class Measured(NamedTuple):
    """The pairs of labelled faces under one pack: all of them, or those that a list names."""

    counts: PairCounts
    gallery: Gallery
    listed: Listed | None = None

    @property
    def faces(self) -> Faces:
        names = ["/".join(picture.parts[-2:]) for picture in self.gallery.pictures]
        return Faces(self.gallery.embeddings, self.gallery.people, names)

    def evaluate(self, calibration: Calibration) -> Evaluation:
        if self.listed is None:
            return evaluate(self.faces, self.counts, calibration)
        return evaluate_listed(self.faces, self.listed, self.counts, calibration)


def chosen_pack(settings: Settings, args: argparse.Namespace) -> tuple[Store, Pack]:
    """Return the store, and the pack that the arguments or else the settings name."""
    if args.pack is None:
        return Store.configured(settings.models)
    store = Store.of(settings.models)
    return store, store.pack(args.pack)


def measure(settings: Settings, store: Store, pack: Pack, folder: Path | None, pairs: Path | None = None) -> Measured:
    """Embed the pictures of ``folder``, or those that ``pairs`` names, and count pairs; a progress bar on stderr."""
    if pairs is None:
        if folder is None:
            raise GalleryError("name a folder of faces, or a list of pairs")
        gallery = _embed(settings, store, pack, list_pictures(folder))
        return Measured(count_pairs(gallery.embeddings, gallery.people), gallery)
    of = pair_list.read_list(pairs) if folder is None else pair_list.read_lfw(pairs, folder)
    gallery = _embed(settings, store, pack, of.pictures)
    listed = Listed(*of.found(gallery), has_people=folder is not None)
    return Measured(count_listed(gallery.embeddings, listed.pairs, listed.same), gallery, listed)


def _embed(settings: Settings, store: Store, pack: Pack, pictures: list[Path]) -> Gallery:
    budget = thread_budget(settings.runtime.threads or available_cores(), settings.runtime.device)
    embedding_pipeline = open_local_pipelines(settings, store, pack, budget).embedding
    progress = partial(tqdm, total=len(pictures), desc="Embedding", unit="picture", disable=None)
    gallery = embed_pictures(embedding_pipeline, pictures, budget.workers, progress)
    for code, number in Counter(gallery.refused.values()).items():
        print(f"warning: {number} pictures are left out: {code.value}", file=sys.stderr)
    return gallery
