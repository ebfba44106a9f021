"""Groups of people for the population ``matched``: women of LFW, men of LFW, and one studio set.

Sexes come from ``lfw_sex.csv``. The studio set is the American Multiracial Face Database (``amfd``): people of similar
age, mostly women, photographed in one studio. ``NF-1002.jpg`` and ``SF-1002.jpg`` show the same person.
"""

import csv
import dataclasses
from typing import NamedTuple

import numpy as np

from app.engine import open_pipelines, open_shared_resources
from app.environment import Settings
from app.packs.manifest import Pack
from app.packs.store import Store
from app.tools.evaluation.gallery import Gallery, embed_images, list_images
from app.tools.evaluation.measure import Measurement, all_pairs
from benchmarks import SHARED

DATA = SHARED / "data"
WOMEN, MEN, STUDIO = "women of LFW", "men of LFW", "studio (AMFD)"
_SEX = {WOMEN: "F", MEN: "M"}


class Galleries(NamedTuple):
    """The embeddings of LFW and of the studio set."""

    lfw: Gallery
    studio: Gallery


def is_available() -> bool:
    return (DATA / "amfd").is_dir()


def embed(settings: Settings, store: Store, pack: Pack) -> Galleries:
    """Embed both sets."""
    shared = open_shared_resources(settings)
    pipeline = open_pipelines(settings, store, pack, shared).embedding
    lfw = embed_images(pipeline, list_images(DATA / "lfw"), shared.budget.workers)
    studio = embed_images(pipeline, sorted((DATA / "amfd").glob("*.jpg")), shared.budget.workers)
    return Galleries(lfw, dataclasses.replace(studio, people=tuple(path.stem[1:] for path in studio.images)))


def measurement(galleries: Galleries) -> Measurement:
    """Return all pairs of LFW, and the pairs within each group."""
    with (DATA / "lfw_sex.csv").open(newline="") as file:
        sex_of = {row["person"]: row["sex"] for row in csv.DictReader(file)}
    sexes = np.array([sex_of.get(person, "") for person in galleries.lfw.people])
    groups = {name: all_pairs(galleries.lfw.select(sexes == sex)) for name, sex in _SEX.items()}
    groups[STUDIO] = all_pairs(galleries.studio)
    return all_pairs(galleries.lfw)._replace(groups=groups)


def halves(galleries: Galleries) -> tuple[Galleries, Galleries]:
    """Return both sets with one half of their people, and with the other half."""
    first, second = zip(*(split(gallery, 0) for gallery in galleries), strict=True)
    return Galleries(*first), Galleries(*second)


def split(gallery: Gallery, seed: int) -> tuple[Gallery, Gallery]:
    """Return one half of the people, and the other half."""
    people = np.array(sorted(set(gallery.people)))
    chosen = np.random.default_rng(seed).permutation(people)[: len(people) // 2]
    is_first = np.isin(gallery.people, chosen)
    return gallery.select(is_first), gallery.select(~is_first)
