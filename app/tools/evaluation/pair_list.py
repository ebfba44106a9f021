"""Listed pairs of images instead of all pairs of a folder: a text file of pairs, or the ``pairs.txt`` of LFW."""

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

_NumberedPair: TypeAlias = tuple[int, tuple[Path, Path, bool]]
"""Line number, and the two images of a pair with its label."""


@dataclass(frozen=True, slots=True, eq=False)
class PairList:
    """Pair i compares ``images[pairs[i, 0]]`` with ``images[pairs[i, 1]]``; it is genuine if ``same[i]``."""

    images: list[Path]
    pairs: NDArray[np.intp]
    same: NDArray[np.bool_]

    def embedded_pairs(self, gallery: Gallery) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return the pairs as rows of ``gallery`` and their labels, without pairs whose images have no embedding."""
        row_of_path = {path: row for row, path in enumerate(gallery.images)}
        rows = np.array([row_of_path.get(path, -1) for path in self.images], dtype=np.intp)
        pairs = rows[self.pairs]
        is_embedded = (pairs >= 0).all(axis=1)
        return pairs[is_embedded], self.same[is_embedded]


def read_list(file: Path) -> PairList:
    """Read lines ``A B same|different`` (or 1/0, true/false), separated by tabs, commas or spaces.

    Paths are relative to ``file``. Empty lines, comments (``#``) and a header line that ends in ``label`` are skipped.
    """
    return _pair_list(file, _listed_pairs(file))


def read_lfw(file: Path, folder: Path) -> PairList:
    """Read the ``pairs.txt`` of LFW: ``NAME N1 N2`` (same person) or ``NAME1 N1 NAME2 N2``.

    A first line of counts is skipped. Image N of NAME is ``folder/NAME/NAME_000N.jpg``, or has another known suffix.
    """
    if not folder.is_dir():
        raise GalleryError(f"{folder} is not a folder")
    return _pair_list(file, _lfw_pairs(file, folder))


def _listed_pairs(file: Path) -> Iterator[_NumberedPair]:
    for number, line in _lines(file):
        fields = _fields(line)
        if number == 1 and fields[-1].lower() == "label":
            continue
        match fields:
            case [first, second, label] if label.lower() in _LABELS:
                paths = file.parent / first, file.parent / second
            case _:
                raise _line_error(file, number, "expected `A B same` or `A B different`")
        for path in paths:
            if not path.is_file():
                raise _line_error(file, number, f"{path} is not a file")
        yield number, (*paths, _LABELS[label.lower()])


def _fields(line: str) -> list[str]:
    delimiter = next((character for character in "\t," if character in line), None)
    if delimiter is None:
        return line.split()
    return [field.strip() for field in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))]


def _lfw_pairs(file: Path, folder: Path) -> Iterator[_NumberedPair]:
    for number, line in _lines(file):
        match line.split():
            case [*counts] if number == 1 and all(count.isdecimal() for count in counts):
                continue
            case [name, first, second] if first.isdecimal() and second.isdecimal():
                other_name = name
            case [name, first, other_name, second] if first.isdecimal() and second.isdecimal():
                pass
            case _:
                raise _line_error(file, number, "expected `NAME N1 N2` or `NAME1 N1 NAME2 N2`")
        a = _lfw_image(file, number, folder / name / f"{name}_{int(first):04d}")
        b = _lfw_image(file, number, folder / other_name / f"{other_name}_{int(second):04d}")
        yield number, (a, b, name == other_name)


def _lfw_image(file: Path, number: int, stem: Path) -> Path:
    for suffix in SUFFIXES:
        path = stem.with_name(stem.name + suffix)
        if path.is_file():
            return path
    raise _line_error(file, number, f"there is no image {stem}.jpg")


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are neither empty nor comments, with their numbers."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise GalleryError(f"{file} is not text in UTF-8") from error
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line.strip()


def _pair_list(file: Path, numbered_pairs: Iterator[_NumberedPair]) -> PairList:
    """Return the distinct images and the distinct pairs of them."""
    index_of_image: dict[Path, int] = {}
    labels: dict[tuple[int, int], bool] = {}
    for number, (a, b, same) in numbered_pairs:
        first, second = sorted(index_of_image.setdefault(path, len(index_of_image)) for path in (a, b))
        if first == second:
            raise _line_error(file, number, "an image is compared with itself")
        if labels.setdefault((first, second), same) != same:
            raise _line_error(file, number, "this pair was listed before with the other label")
    if not labels:
        raise GalleryError(f"{file} lists no pairs")
    return PairList(
        images=list(index_of_image),
        pairs=np.array(list(labels), dtype=np.intp),
        same=np.array(list(labels.values()), dtype=np.bool_),
    )


def _line_error(file: Path, line: int, reason: str) -> GalleryError:
    return GalleryError(f"{file}, line {line}: {reason}")
