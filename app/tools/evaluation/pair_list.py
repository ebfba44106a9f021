"""Listed pairs of images instead of all pairs of a folder: a text file of pairs, or the ``pairs.txt`` of LFW."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.tools.evaluation.gallery import SUFFIXES, Gallery, GalleryError
from app.tools.evaluation.pairs import ListedPairs

_LABELS = {"same": True, "1": True, "true": True, "different": False, "0": False, "false": False}

_Pair: TypeAlias = tuple[Path, Path, bool]
"""Two images, and whether they show the same person."""


class _LineError(Exception):
    """A line of a list is invalid."""


@dataclass(frozen=True, slots=True, eq=False)
class PairList:
    """Pair i compares ``images[pairs[i, 0]]`` with ``images[pairs[i, 1]]``; it is genuine if ``same[i]``."""

    images: list[Path]
    pairs: NDArray[np.intp]
    same: NDArray[np.bool_]

    def embedded_pairs(self, gallery: Gallery, *, has_people: bool) -> ListedPairs:
        """Return the pairs as rows of ``gallery``, without pairs whose images have no embedding."""
        row_of_path = {path: row for row, path in enumerate(gallery.images)}
        rows = np.array([row_of_path.get(path, -1) for path in self.images], dtype=np.intp)
        pairs = rows[self.pairs]
        is_embedded = (pairs >= 0).all(axis=1)
        return ListedPairs(pairs[is_embedded], self.same[is_embedded], has_people)


def read_list(file: Path) -> PairList:
    """Read lines ``A B same|different`` (or 1/0, true/false), separated by tabs, commas or spaces.

    Paths are relative to ``file``. Empty lines, comments (``#``) and a header line that ends in ``label`` are skipped.
    Raise :class:`GalleryError` for an invalid line.
    """
    return _read(file, lambda line: _fields(line)[-1].lower() == "label", partial(_listed_pair, file.parent))


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
    indices: dict[Path, int] = {}
    labels: dict[tuple[int, int], bool] = {}
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#") or (number == 1 and is_header(line)):
            continue
        try:
            _add(indices, labels, *parse(line))
        except _LineError as error:
            raise GalleryError(f"{file}, line {number}: {error}") from error
    if not labels:
        raise GalleryError(f"{file} lists no pairs")
    return PairList(list(indices), np.array(list(labels), np.intp), np.array(list(labels.values()), np.bool_))


def _add(indices: dict[Path, int], labels: dict[tuple[int, int], bool], a: Path, b: Path, same: bool) -> None:
    first, second = sorted(indices.setdefault(path, len(indices)) for path in (a, b))
    if first == second:
        raise _LineError("an image is compared with itself")
    if labels.setdefault((first, second), same) != same:
        raise _LineError("this pair was listed before with the other label")


def _listed_pair(folder: Path, line: str) -> _Pair:
    match _fields(line):
        case [first, second, label] if label.lower() in _LABELS:
            a, b = folder / first, folder / second
        case _:
            raise _LineError("expected `A B same` or `A B different`")
    for path in (a, b):
        if not path.is_file():
            raise _LineError(f"{path} is not a file")
    return a, b, _LABELS[label.lower()]


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
    return _lfw_image(folder, name, int(first)), _lfw_image(folder, other_name, int(second)), name == other_name


def _lfw_image(folder: Path, name: str, number: int) -> Path:
    stem = folder / name / f"{name}_{number:04d}"
    for suffix in SUFFIXES:
        path = Path(f"{stem}{suffix}")
        if path.is_file():
            return path
    raise _LineError(f"there is no image {stem}.jpg")
