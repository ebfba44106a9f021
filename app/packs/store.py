"""Where packs lie: a catalogue of ``<name>/pack.toml`` and a folder of weights, ``<name>/<file>``.

In: two folders. Out: :class:`Pack` records, and paths of weight files whose content has been compared with the record's
digest. ``prepare`` makes those weight files that come with installed packages; ``pull`` gets the others.
Whatever goes wrong is a :class:`PackError` with a text for the operator, and leaves no file behind.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Self

import platformdirs

from app.ops.process import own_command
from app.packs import build, files, licence, manifest
from app.packs.manifest import Pack, PackageSource, PackError, PackFile
from app.settings import ModelsSettings, RuntimeSettings

_log = logging.getLogger(__name__)

_APP = Path(__file__).parents[1]
_CHECKOUT_CATALOGUE = _APP.parent / "models"
_WHEEL_CATALOGUE = _APP / "_catalogue"

VISIBILITY = Path("quality/visibility.onnx")
"""The network that sees what covers a face: our own, part of every catalogue and of no pack."""

PREFERRED, FALLBACK = "omz", "open"
"""The setting ``auto`` is the former where its files are, else the latter, which needs no download."""


class FileState(StrEnum):
    """What a weight file is, compared with its record."""

    MISSING = "missing"
    CHANGED = "changed"
    READY = "ready"


def shipped_catalogue() -> Path:
    """What this installation came with: the ``models/`` of a checkout, or package data."""
    return _CHECKOUT_CATALOGUE if any(_CHECKOUT_CATALOGUE.glob("*/pack.toml")) else _WHEEL_CATALOGUE


def visibility_path() -> Path:
    """Where the network of :data:`VISIBILITY` is; raise :class:`PackError` where it is not, or another file is."""
    path = shipped_catalogue() / VISIBILITY
    try:
        record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        is_ours = files.digest(path) == record["sha256"]
    except (OSError, ValueError, KeyError) as error:
        raise PackError(f"{path} or its record cannot be read; they come with the program: install it anew") from error
    if not is_ours:
        raise PackError(f"{path} is not the file that came with the program: install it anew")
    return path


def _ignore(file: PackFile) -> None:
    """Report progress to nobody."""


class Store:
    """The packs of one catalogue and their weights."""

    def __init__(self, catalogue: Path, weights: Path) -> None:
        self._catalogue = catalogue
        self._weights = weights

    @classmethod
    def of(cls, settings: ModelsSettings) -> Self:
        """The store of this installation: the ``models/`` of a checkout, or package data and the user's cache."""
        catalogue = shipped_catalogue()
        weights = catalogue if catalogue == _CHECKOUT_CATALOGUE else platformdirs.user_cache_path("compareface")
        return cls(catalogue, settings.weights_dir or weights)

    @classmethod
    def configured(cls, settings: ModelsSettings) -> tuple[Self, Pack]:
        """The store of this installation and the pack the settings choose."""
        store = cls.of(settings)
        return store, store.chosen(settings)

    def chosen(self, settings: ModelsSettings) -> Pack:
        """The pack the settings name, or that of ``auto``."""
        if not settings.is_automatic:
            return self.pack(settings.pack)
        preferred = self.pack(PREFERRED)
        return preferred if self.is_installed(preferred) else self.pack(FALLBACK)

    def names(self) -> tuple[str, ...]:
        """All packs of the catalogue."""
        return tuple(sorted(path.parent.name for path in self._catalogue.glob("*/pack.toml")))

    def pack(self, name: str) -> Pack:
        names = self.names()
        if name not in names:
            known = ", ".join(names) or f"none in {self._catalogue}"
            raise PackError(f"there is no pack {name}; known packs: {known}")
        return manifest.load(self._catalogue / name / "pack.toml")

    def folder(self, pack: Pack) -> Path:
        """Where the weight files of a pack are, or will be."""
        return self._weights / pack.name

    def path(self, pack: Pack, file: PackFile) -> Path:
        """Where the weight file is, or will be."""
        return self.folder(pack) / file.name

    @property
    def downloads(self) -> Path:
        """Where downloads are until they are complete and used."""
        return self._weights / ".downloads"

    def calibration_path(self, name: str) -> Path:
        """The table beside the weights, where an operator puts one of their own, else the catalogue's."""
        own = self.own_calibration_path(name)
        return own if own.exists() else self._catalogue / name / "calibration.toml"

    def own_calibration_path(self, name: str) -> Path:
        """Where an operator's own table lies; a checkout's shipped one stays as it is."""
        return self._weights / name / "calibration.own.toml"

    def states(self, pack: Pack) -> Mapping[str, FileState]:
        """File name -> state, by content."""
        return {file.name: self._state(pack, file) for file in pack.files}

    def is_installed(self, pack: Pack) -> bool:
        """Whether all files exist, whatever is in them: a changed one is refused, not passed over."""
        return all(self.path(pack, file).exists() for file in pack.files)

    def outdated_files(self, pack: Pack) -> tuple[PackFile, ...]:
        """The files that are missing or changed."""
        states = self.states(pack)
        return tuple(file for file in pack.files if states[file.name] is not FileState.READY)

    def build(self, pack: Pack, progress: Callable[[PackFile], object] = _ignore) -> tuple[PackFile, ...]:
        """Make the files of packages that are missing or changed, telling ``progress`` of each; return those made."""
        made = []
        for file in self.outdated_files(pack):
            if isinstance(file.source, PackageSource):
                files.write(self.path(pack, file), build.from_package(file, file.source))
                progress(file)
                made.append(file)
        return tuple(made)

    def resolve(self, pack: Pack) -> Mapping[str, Path]:
        """File name -> path; raise :class:`PackError` unless every file is what its record says and may be used."""
        wrong = [f"{name} is {state}" for name, state in self.states(pack).items() if state is not FileState.READY]
        if wrong:
            command = "pull" if pack.downloads else "prepare"
            raise PackError(
                f"pack {pack.name} in {self.folder(pack)}: {', '.join(wrong)}; "
                f"run `{own_command(f'models {command} {pack.name}')}`"
            )
        if not licence.is_settled(pack.licence, self.folder(pack)):
            raise PackError(
                f"the licence of pack {pack.name} has not been accepted ({pack.licence.name}, {pack.licence.url}); "
                f"run `{own_command(f'models pull {pack.name}')}`"
            )
        return {file.name: self.path(pack, file) for file in pack.files}

    def build_missing(self, pack: Pack) -> None:
        """Make the files that are not there, at first use; leave a changed one for :meth:`resolve` to refuse."""
        if not self.is_installed(pack) and FileState.CHANGED not in self.states(pack).values():
            self.build(pack)

    def prepare(self, pack: Pack, runtime: RuntimeSettings) -> tuple[Pack, Mapping[str, Path]]:
        """Return the pack as it can run there, and its files, made at first use.

        Without the embedder in 8-bit integers it is only slower; older folders of weights, maybe read-only, lack it.
        """
        if pack.embedder.file_on(runtime) == pack.embedder.file:
            pack = pack.without_int8()
        try:
            self.build_missing(pack)
        except PackError as error:
            if pack.embedder.int8_file is None:
                raise
            pack = pack.without_int8()
            self.build_missing(pack)
            _log.warning("the embedder in 8-bit integers cannot be made, so the slower one runs: %s", error)
        return pack, self.resolve(pack)

    def _state(self, pack: Pack, file: PackFile) -> FileState:
        path = self.path(pack, file)
        try:
            digest = files.digest(path)
        except FileNotFoundError:
            return FileState.MISSING
        except OSError as error:
            raise PackError(f"cannot read {path}: {error.strerror}") from error
        return FileState.READY if digest == file.sha256 else FileState.CHANGED
