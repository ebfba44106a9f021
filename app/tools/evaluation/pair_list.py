"""Listed pairs of pictures, instead of all pairs of a folder: what a benchmark's protocol or a log of cases gives.

In: a list of pairs, or LFW's ``pairs.txt`` and its folder. Out: a :class:`PairList`: the pictures to embed, and which
of them to compare.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.tools.evaluation.gallery import SUFFIXES, Gallery, GalleryError

_LABELS = {"same": True, "1": True, "true": True, "different": False, "0": False, "false": False}

_Lines: TypeAlias = Iterator[tuple[int, str]]
_Pair: TypeAlias = tuple[Path, Path, bool]


@dataclass(frozen=True, slots=True, eq=False)
class PairList:
    """Pair i compares ``pictures[pairs[i, 0]]`` with ``pictures[pairs[i, 1]]``: the same person where ``same[i]``."""

    pictures: list[Path]
    pairs: NDArray[np.intp]
    same: NDArray[np.bool_]

    def found(self, gallery: Gallery) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return the pairs, as rows of ``gallery``, and their labels; pairs with a refused picture are left out."""
        rows = {path: row for row, path in enumerate(gallery.pictures)}
        places = np.array([rows.get(path, -1) for path in self.pictures], dtype=np.intp)
        pairs = places[self.pairs]
        usable = (pairs >= 0).all(axis=1)
        return pairs[usable], self.same[usable]


def read_list(file: Path) -> PairList:
    """Read lines ``A B same|different`` (or 1/0, true/false), apart by tabs, commas or spaces.

    Paths are relative to ``file``. Empty lines, lines after ``#`` and a first line that ends in ``label`` are skipped.
    """
    return _collected(file, _listed(file))


def read_lfw(file: Path, folder: Path) -> PairList:
    """Read LFW's ``pairs.txt``: ``NAME N1 N2`` (same person) or ``NAME1 N1 NAME2 N2``.

    A first line of counts is skipped. EncodedImage N of NAME is ``folder/NAME/NAME_000N.jpg``, or of another known suffix.
    """
    if not folder.is_dir():
        raise GalleryError(f"{folder} is not a folder")
    return _collected(file, _of_lfw(file, folder))


def _listed(file: Path) -> Iterator[tuple[int, _Pair]]:
    for number, line in _lines(file):
        delimiter = next((mark for mark in "\t," if mark in line), None)
        fields = line.split() if delimiter is None else [field.strip() for field in _cells(line, delimiter)]
        if number == 1 and fields[-1].lower() == "label":
            continue
        if len(fields) != 3 or fields[2].lower() not in _LABELS:  # noqa: PLR2004
            raise _wrong(file, number, "expected `A B same` or `A B different`")
        a, b = (file.parent / field for field in fields[:2])
        for path in (a, b):
            if not path.is_file():
                raise _wrong(file, number, f"{path} is not a file")
        yield number, (a, b, _LABELS[fields[2].lower()])


def _cells(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))


def _of_lfw(file: Path, folder: Path) -> Iterator[tuple[int, _Pair]]:
    for number, line in _lines(file):
        match line.split():
            case [*counts] if number == 1 and all(count.isdecimal() for count in counts):
                continue
            case [name, first, second] if first.isdecimal() and second.isdecimal():
                other = name
            case [name, first, other, second] if first.isdecimal() and second.isdecimal():
                pass
            case _:
                raise _wrong(file, number, "expected `NAME N1 N2` or `NAME1 N1 NAME2 N2`")
        stems = (folder / each / f"{each}_{int(index):04d}" for each, index in ((name, first), (other, second)))
        a, b = (_picture(file, number, stem) for stem in stems)
        yield number, (a, b, name == other)


def _picture(file: Path, number: int, stem: Path) -> Path:
    for suffix in SUFFIXES:
        path = stem.with_name(stem.name + suffix)
        if path.is_file():
            return path
    raise _wrong(file, number, f"there is no picture {stem}.jpg")


def _lines(file: Path) -> _Lines:
    """Yield the lines that say something, with their numbers."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise GalleryError(f"{file} is not text in UTF-8") from error
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line.strip()


def _collected(file: Path, found: Iterator[tuple[int, _Pair]]) -> PairList:
    """Give every picture a number; the same pair twice counts once."""
    places: dict[Path, int] = {}
    labels: dict[tuple[int, int], bool] = {}
    for number, (a, b, same) in found:
        first, second = sorted(places.setdefault(path, len(places)) for path in (a, b))
        if first == second:
            raise _wrong(file, number, "a picture is compared with itself")
        if labels.setdefault((first, second), same) != same:
            raise _wrong(file, number, "this pair was listed before with the other label")
    if not labels:
        raise GalleryError(f"{file} lists no pairs")
    return PairList(
        pictures=list(places),
        pairs=np.array(list(labels), dtype=np.intp),
        same=np.array(list(labels.values()), dtype=np.bool_),
    )


def _wrong(file: Path, line: int, what: str) -> GalleryError:
    return GalleryError(f"{file}, line {line}: {what}")
