"""Embed labelled faces with a pack and count their pairs, for ``evaluate`` and ``calibrate``."""

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from tqdm import tqdm

from app.domain import Population
from app.engine import open_pipelines, open_shared_resources
from app.environment import Settings
from app.packs.manifest import Pack
from app.packs.store import Store
from app.scoring.calibration import Calibration
from app.tools.evaluation import pair_list
from app.tools.evaluation.evaluation import Evaluation, evaluate
from app.tools.evaluation.gallery import Gallery, GalleryError, embed_images, list_images
from app.tools.evaluation.groups import galleries_by_group, list_grouped_images, listed_pairs_of_group
from app.tools.evaluation.pairs import LabelledFaces, ListedPairs, PairCounts, count_listed_pairs, count_pairs


class Measurement(NamedTuple):
    """The pairs of labelled faces under one pack: all pairs, or the listed ones.

    ``groups``: the pairs within each group of people, if the faces have groups. ``precision``: that of the embedder,
    ``int8`` or ``float32``.
    """

    counts: PairCounts
    gallery: Gallery
    listed: ListedPairs | None = None
    groups: Mapping[str, "Measurement"] = MappingProxyType({})
    precision: str = "float32"

    @property
    def people(self) -> int:
        """The number of people; 0 if they are unknown."""
        return len(set(self.gallery.people)) if self.listed is None or self.listed.has_people else 0

    @property
    def faces(self) -> LabelledFaces:
        names = ["/".join(path.parts[-2:]) for path in self.gallery.images]
        return LabelledFaces(self.gallery.embeddings, self.gallery.people, names)

    def evaluate(self, calibration: Calibration, population: Population = Population.GENERAL) -> Evaluation:
        return evaluate(self.faces, self.counts, calibration, self.listed, population)


def measure(
    settings: Settings,
    store: Store,
    pack: Pack,
    folder: Path | None,
    pairs: Path | None = None,
    *,
    has_groups: bool = False,
) -> Measurement:
    """Embed the images of ``folder``, or those listed in ``pairs``, and count pairs; show progress on stderr.

    With ``has_groups``, the people of the folder or the listed pairs have groups.
    """
    if pairs is None:
        if folder is None:
            raise GalleryError("name a folder of faces, or a list of pairs (--pairs FILE)")
        images = list_grouped_images(folder) if has_groups else list_images(folder)
        gallery, precision = _embed(settings, store, pack, images)
        groups = galleries_by_group(gallery) if has_groups else {}
        by_group = {name: all_pairs(group) for name, group in groups.items()}
        return all_pairs(gallery)._replace(groups=by_group, precision=precision)
    if has_groups and folder is not None:
        raise GalleryError("--groups needs a list of pairs with a column of groups, not the pairs.txt of LFW")
    list_of_pairs = (
        pair_list.read_list(pairs, has_groups=has_groups) if folder is None else pair_list.read_lfw(pairs, folder)
    )
    gallery, precision = _embed(settings, store, pack, list_of_pairs.images)
    listed = list_of_pairs.embedded_pairs(gallery, has_people=folder is not None)
    names = sorted(set(list_of_pairs.groups.tolist()) - {""})
    grouped = {name: _listed(*listed_pairs_of_group(gallery, list_of_pairs, listed, name)) for name in names}
    return _listed(gallery, listed)._replace(groups=grouped, precision=precision)


def all_pairs(gallery: Gallery) -> Measurement:
    """Return all pairs of ``gallery``."""
    return Measurement(count_pairs(gallery.embeddings, gallery.people), gallery)


def _listed(gallery: Gallery, listed: ListedPairs) -> Measurement:
    return Measurement(count_listed_pairs(gallery.embeddings, listed), gallery, listed)


def _embed(settings: Settings, store: Store, pack: Pack, images: list[Path]) -> tuple[Gallery, str]:
    """Return the embeddings and the precision of the embedder."""
    shared = open_shared_resources(settings)
    pipelines = open_pipelines(settings, store, pack, shared)
    gallery = embed_images(pipelines.embedding, images, shared.budget.workers)
    for code, count in Counter(gallery.failures.values()).items():
        subject = "1 image is" if count == 1 else f"{count:,} images are"
        tqdm.write(f"warning: {subject} left out: {code.value}", file=sys.stderr)
    return gallery, "int8" if pack.embedder.int8_file in pipelines.networks else "float32"
