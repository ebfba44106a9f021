"""What ``evaluate`` and ``calibrate`` share: a folder of labelled faces -> all its pairs, counted by cosine."""

from __future__ import annotations

import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from app.config import Settings
from app.engine import open_recogniser
from app.packs.manifest import Pack
from app.packs.store import Store
from app.runtime.threads import available_cores, thread_budget
from app.scoring.pairs import PairCounts, count_pairs
from app.service.gallery import Gallery, embed_pictures, list_pictures


class Measured(NamedTuple):
    """The pairs of one folder under one pack."""

    counts: PairCounts
    gallery: Gallery


def measure(settings: Settings, store: Store, pack: Pack, folder: Path) -> Measured:
    """Embed every picture of ``folder`` with ``pack`` and count all pairs; a progress bar on stderr."""
    pictures = list_pictures(folder)
    budget = thread_budget(settings.runtime.threads or available_cores())
    recogniser, _ = open_recogniser(settings, store, pack, budget)
    progress = partial(tqdm, total=len(pictures), desc="Embedding", unit="picture", disable=None)
    gallery = embed_pictures(recogniser, pictures, budget.workers, progress)
    for code, number in Counter(gallery.refused.values()).items():
        print(f"warning: {number} pictures are left out: {code.value}", file=sys.stderr)
    return Measured(count_pairs(gallery.embeddings, gallery.people), gallery)
