"""Groups of people, such as sexes, sites or origins: a level of folders, or a column of a list of pairs."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from app.errors import ErrorCode
from app.tools.evaluation.gallery import Gallery, GalleryError, find_images, list_images
from app.tools.evaluation.pair_list import PairList
from app.tools.evaluation.pairs import ListedPairs


def list_grouped_images(folder: Path) -> list[Path]:
    """Return the files FOLDER/GROUP/PERSON/IMAGE, sorted.

    Raise :class:`GalleryError` if there are none, if an image has no group, or if a person has two.
    """
    without_group = find_images(folder)
    if without_group:
        raise GalleryError(f"{without_group[0]} has no group: --groups needs folders GROUP/PERSON/IMAGE.jpg")
    images = list_images(folder, "GROUP/PERSON/IMAGE")
    group_of: dict[str, str] = {}
    for path in images:
        group, person = path.parts[-3:-1]
        if group_of.setdefault(person, group) != group:
            raise GalleryError(f"groups overlap: {person} is in the groups {group_of[person]} and {group} of {folder}")
    return images


def galleries_by_group(gallery: Gallery) -> Mapping[str, Gallery]:
    """Return the images of each group of a gallery whose images are GROUP/PERSON/IMAGE."""
    names = np.array([path.parts[-3] for path in gallery.images])
    failures: dict[str, dict[Path, ErrorCode]] = {}
    for path, code in gallery.failures.items():
        failures.setdefault(path.parts[-3], {})[path] = code
    groups = sorted({*names.tolist(), *failures})
    return {name: gallery.select(names == name, failures.get(name, {})) for name in groups}


def listed_pairs_of_group(
    gallery: Gallery, list_of_pairs: PairList, listed: ListedPairs, group: str
) -> tuple[Gallery, ListedPairs]:
    """Return the pairs of ``group``, and the gallery of their images.

    ``listed`` are the pairs of ``list_of_pairs`` without those of failed images.
    """
    images = list_of_pairs.images_of_group(group)
    failures = {path: code for path, code in gallery.failures.items() if path in images}
    is_selected = listed.groups == group
    rows, pairs = np.unique(listed.pairs[is_selected], return_inverse=True)
    is_in_group = np.isin(np.arange(len(gallery.images)), rows)
    selected = ListedPairs(pairs.reshape(-1, 2), listed.same[is_selected], listed.has_people)
    return gallery.select(is_in_group, failures), selected
