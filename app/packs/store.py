"""Where packs lie: a catalogue of ``<name>/pack.toml`` and a folder of weights, ``<name>/<file>``.

In: two folders. Out: :class:`Pack` records, and paths of weight files whose content has been compared with the record's
digest. ``prepare`` makes weight files out of files of installed packages, which it finds without importing the package.
Whatever goes wrong is a :class:`PackError` with a text for the operator, and leaves no file behind.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Self

import platformdirs

from app import config
from app.packs import manifest
from app.packs.manifest import Pack, PackageSource, PackError, PackFile

_APP = Path(__file__).parents[1]
_CHECKOUT_CATALOGUE = _APP.parent / "models"
_WHEEL_CATALOGUE = _APP / "_catalogue"


class FileState(StrEnum):
    """What a weight file is, compared with its record."""

    MISSING = "missing"
    CHANGED = "changed"
    READY = "ready"


def _ignore(file: PackFile) -> None:
    """Report progress to nobody."""


class Store:
    """The packs of one catalogue and their weights."""

    def __init__(self, catalogue: Path, weights: Path) -> None:
        self._catalogue = catalogue
        self._weights = weights

    @classmethod
    def of(cls, settings: config.ModelsSettings) -> Self:
        """The store of this installation: the ``models/`` of a checkout, or package data and the user's cache."""
        if any(_CHECKOUT_CATALOGUE.glob("*/pack.toml")):
            catalogue = weights = _CHECKOUT_CATALOGUE
        else:
            catalogue, weights = _WHEEL_CATALOGUE, platformdirs.user_cache_path("compareface")
        return cls(catalogue, settings.weights_dir or weights)

    @classmethod
    def configured(cls, settings: config.ModelsSettings) -> tuple[Self, Pack]:
        """The store of this installation and the pack the settings name."""
        store = cls.of(settings)
        return store, store.pack(settings.pack)

    def names(self) -> tuple[str, ...]:
        """All packs of the catalogue."""
        return tuple(sorted(path.parent.name for path in self._catalogue.glob("*/pack.toml")))

    def pack(self, name: str) -> Pack:
        names = self.names()
        if name not in names:
            known = ", ".join(names) or f"none in {self._catalogue}"
            raise PackError(f"there is no pack {name}; known packs: {known}")
        return manifest.load(self._catalogue / name / "pack.toml")

    def path(self, pack: Pack, file: PackFile) -> Path:
        """Where the weight file is, or will be."""
        return self._weights / pack.name / file.name

    def calibration_path(self, name: str) -> Path:
        """The table beside the weights, where an operator puts one of their own, else the catalogue's."""
        own, shipped = (folder / name / "calibration.toml" for folder in (self._weights, self._catalogue))
        return own if own.exists() else shipped

    def states(self, pack: Pack) -> Mapping[str, FileState]:
        """File name -> state, by content."""
        return {file.name: self._state(pack, file) for file in pack.files}

    def prepare(self, pack: Pack, progress: Callable[[PackFile], object] = _ignore) -> tuple[PackFile, ...]:
        """Make the files that are missing or changed, telling ``progress`` of each one done; return those made."""
        states = self.states(pack)
        wanted = tuple(file for file in pack.files if states[file.name] is not FileState.READY)
        for file in wanted:
            _write(self.path(pack, file), _make(file))
            progress(file)
        return wanted

    def resolve(self, pack: Pack) -> Mapping[str, Path]:
        """File name -> path; raise :class:`PackError` unless every file is what its record says."""
        wrong = [f"{name} is {state}" for name, state in self.states(pack).items() if state is not FileState.READY]
        if wrong:
            raise PackError(
                f"pack {pack.name} in {self._weights / pack.name}: {', '.join(wrong)}; "
                f"run `compareface models prepare {pack.name}`"
            )
        return {file.name: self.path(pack, file) for file in pack.files}

    def prepare_missing(self, pack: Pack) -> None:
        """Make the files that are not there, at first use; leave a changed one for :meth:`resolve` to refuse."""
        there = [self.path(pack, file).exists() for file in pack.files]
        if not all(there) and FileState.CHANGED not in self.states(pack).values():
            self.prepare(pack)

    def _state(self, pack: Pack, file: PackFile) -> FileState:
        path = self.path(pack, file)
        try:
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except FileNotFoundError:
            return FileState.MISSING
        except OSError as error:
            raise PackError(f"cannot read {path}: {error.strerror}") from error
        return FileState.READY if digest == file.sha256 else FileState.CHANGED


def _make(file: PackFile) -> bytes:
    source = _read_source(file.source)
    from app.packs.converters import CONVERTERS  # noqa: PLC0415 - imports onnx, which takes half a second

    content = CONVERTERS[file.source.converter](source)
    if (digest := hashlib.sha256(content).hexdigest()) != file.sha256:
        raise PackError(
            f"{file.name} made from {file.source.package} has sha256 {digest} instead of {file.sha256}; "
            "another version of onnx or protobuf may write it differently: install the locked ones"
        )
    return content


def _read_source(source: PackageSource) -> bytes:
    wanted = f"{source.package}=={source.version}"
    try:
        package = metadata.distribution(source.package)
    except metadata.PackageNotFoundError as error:
        raise PackError(f"the package {source.package} is not installed: pip install {wanted}") from error
    path = Path(str(package.locate_file(source.path)))
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PackError(f"cannot read {path} ({error.strerror}): pip install --force-reinstall {wanted}") from error
    if hashlib.sha256(content).hexdigest() != source.sha256:
        raise PackError(
            f"{path} of {source.package} {package.version} is not the file of {wanted} that the pack was made from: "
            f"pip install --force-reinstall {wanted}"
        )
    return content


def _write(path: Path, content: bytes) -> None:
    """Put the whole file in place at once, whoever else does the same at the same time."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except OSError as error:
        raise PackError(f"cannot write {path}: {error.strerror}. {_advise(error, len(content))}") from error
    finally:
        with suppress(OSError):
            draft.unlink()


def _advise(error: OSError, size: int) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"The file needs {size / 1e6:.0f} MB there."
    return "Prepare the pack as a user who may write there, or choose a folder: COMPAREFACE_MODELS__WEIGHTS_DIR."
