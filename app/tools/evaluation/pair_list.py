"""Listed pairs of images instead of all pairs of a folder: a text file of pairs, or the ``pairs.txt`` of LFW.

A text file may have a column of groups: ``-`` or nothing means that the pair belongs to no group.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.tools.evaluation.gallery import SUFFIXES, Gallery, GalleryError
from app.tools.evaluation.pairs import ListedPairs

_LABELS = {"same": True, "1": True, "true": True, "different": False, "0": False, "false": False}

_NO_GROUP = ("", "-")

_Pair: TypeAlias = tuple[Path, Path, bool, str]
"""Two images, whether they show the same person, and their group or ""."""


class _LineError(Exception):
    """A line of a list is invalid."""


@dataclass(frozen=True, slots=True, eq=False)
class PairList:
    """Pair i compares ``images[pairs[i, 0]]`` with ``images[pairs[i, 1]]``; it is genuine if ``same[i]``.

    ``groups[i]`` is its group, or "".
    """

    images: list[Path]
    pairs: NDArray[np.intp]
    same: NDArray[np.bool_]
    groups: NDArray[np.str_]

    def embedded_pairs(self, gallery: Gallery, *, has_people: bool) -> ListedPairs:
        """Return the pairs as rows of ``gallery``, without pairs whose images have no embedding."""
        row_of_path = {path: row for row, path in enumerate(gallery.images)}
        rows = np.array([row_of_path.get(path, -1) for path in self.images], dtype=np.intp)
        pairs = rows[self.pairs]
        is_embedded = (pairs >= 0).all(axis=1)
        return ListedPairs(pairs[is_embedded], self.same[is_embedded], has_people, self.groups[is_embedded])

    def images_of_group(self, group: str) -> set[Path]:
        """Return the images of the pairs of ``group``."""
        return {self.images[index] for index in self.pairs[self.groups == group].flat}


def read_list(file: Path, *, has_groups: bool = False) -> PairList:
    """Read lines ``A B same|different`` (or 1/0, true/false), separated by tabs, commas or spaces.

    With ``has_groups``, each line ends in a group. Paths are relative to ``file``. Empty lines, comments (``#``) and a
    header line that ends in ``label`` or ``group`` are skipped. Raise :class:`GalleryError` for an invalid line, and
    for a list without groups or with an image in two groups.
    """
    last_column = "group" if has_groups else "label"
    parse = partial(_listed_pair, file.parent, has_group=has_groups)
    pairs = _read(file, lambda line: _fields(line)[-1].lower() == last_column, parse)
    if has_groups and not pairs.groups.any():
        raise GalleryError(f"{file} names no group")
    return pairs


def read_lfw(file: Path, folder: Path) -> PairList:
    """Read the ``pairs.txt`` of LFW: ``NAME N1 N2`` (same person) or ``NAME1 N1 NAME2 N2``.

    A first line of counts is skipped. Image N of NAME is ``folder/NAME/NAME_000N.jpg``, or has another known suffix.
    Raise :class:`GalleryError` for an invalid line.
    """
    if not folder.is_dir():
        raise GalleryError(f"{folder} is not a folder")
    return _read(file, lambda line: all(map(str.isdecimal, line.split())), partial(_lfw_pair, folder))


def _read(file: Path, is_header: Callable[[str], bool], parse: Callable[[str], _Pair]) -> PairList:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise GalleryError(f"{file} is not text in UTF-8") from error
    pairs = _Pairs({}, {}, {})
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#") or (number == 1 and is_header(line)):
            continue
        try:
            pairs.add(*parse(line))
        except _LineError as error:
            raise GalleryError(f"{file}, line {number}: {error}") from error
    if not pairs.labels:
        raise GalleryError(f"{file} lists no pairs")
    same, groups = zip(*pairs.labels.values(), strict=True)
    return PairList(
        list(pairs.indices), np.array(list(pairs.labels), np.intp), np.array(same, np.bool_), np.array(groups)
    )


class _Pairs(NamedTuple):
    """The pairs of the lines so far. ``labels``: by the indices of two images; ``groups``: by image."""

    indices: dict[Path, int]
    labels: dict[tuple[int, int], tuple[bool, str]]
    groups: dict[Path, str]

    def add(self, a: Path, b: Path, same: bool, group: str) -> None:
        first, second = sorted(self.indices.setdefault(path, len(self.indices)) for path in (a, b))
        if first == second:
            raise _LineError("an image is compared with itself")
        listed_same, listed_group = self.labels.setdefault((first, second), (same, group))
        if listed_same != same:
            raise _LineError("this pair was listed before with the other label")
        if listed_group != group:
            raise _LineError("this pair was listed before with another group")
        if group:
            for path in (a, b):
                if self.groups.setdefault(path, group) != group:
                    raise _LineError(f"groups overlap: {path} is in the groups {self.groups[path]} and {group}")


def _listed_pair(folder: Path, line: str, *, has_group: bool) -> _Pair:
    match _fields(line) if has_group else [*_fields(line), ""]:
        case [first, second, label, group] if label.lower() in _LABELS:
            group = "" if group in _NO_GROUP else group
            return _existing(folder / first), _existing(folder / second), _LABELS[label.lower()], group
    column = " GROUP" if has_group else ""
    raise _LineError(f"expected `A B same{column}` or `A B different{column}`")


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise _LineError(f"{path} is not a file")
    return path


def _fields(line: str) -> list[str]:
    delimiter = next((character for character in "\t," if character in line), None)
    if delimiter is None:
        return line.split()
    return [field.strip() for field in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))]


def _lfw_pair(folder: Path, line: str) -> _Pair:
    match line.split():
        case [name, first, second] if first.isdecimal() and second.isdecimal():
            other_name = name
        case [name, first, other_name, second] if first.isdecimal() and second.isdecimal():
            pass
        case _:
            raise _LineError("expected `NAME N1 N2` or `NAME1 N1 NAME2 N2`")
    return _lfw_image(folder, name, int(first)), _lfw_image(folder, other_name, int(second)), name == other_name, ""


def _lfw_image(folder: Path, name: str, number: int) -> Path:
    stem = folder / name / f"{name}_{number:04d}"
    for suffix in SUFFIXES:
        path = Path(f"{stem}{suffix}")
        if path.is_file():
            return path
    raise _LineError(f"there is no image {stem}.jpg")
