"""Locate, build and verify the weight files of packs.

A store has a catalogue of records (``<name>/pack.toml``) and a folder of weights (``<name>/<file>``). It builds the
files whose sources are installed packages; :mod:`app.packs.pull` obtains the others. All failures are
:class:`PackError` and leave no incomplete weight file behind. The acceptance of a licence is recorded beside the
weights, with the licence's name and URL. If the licence changes, it must be accepted again.
"""

import json
import logging
import tomllib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Self

import platformdirs

from app.ops.process import shell_command
from app.packs import build, files, manifest
from app.packs.manifest import Pack, PackageSource, PackError, PackFile
from app.settings import ModelsSettings, RuntimeSettings

_log = logging.getLogger(__name__)

_APP = Path(__file__).parents[1]
_CHECKOUT_CATALOGUE = _APP.parent / "models"
_WHEEL_CATALOGUE = _APP / "_catalogue"

VISIBILITY = Path("quality/visibility.onnx")
"""The network that detects covered faces. It is part of every catalogue and belongs to no pack."""

_ACCEPTED_LICENCE = "LICENCE-ACCEPTED.toml"

PREFERRED, FALLBACK = "omz", "open"
"""The packs of the setting ``auto``: the preferred pack if it is installed, else the one that needs no download."""


class FileState(StrEnum):
    """State of a weight file compared with its record."""

    MISSING = "missing"
    CHANGED = "changed"
    READY = "ready"


def shipped_catalogue() -> Path:
    """Return the catalogue of this installation: ``models/`` of a checkout, or package data of a wheel."""
    return _CHECKOUT_CATALOGUE if any(_CHECKOUT_CATALOGUE.glob("*/pack.toml")) else _WHEEL_CATALOGUE


def visibility_path() -> Path:
    """Return the path of the visibility network; raise :class:`PackError` if it is missing or changed."""
    path = shipped_catalogue() / VISIBILITY
    try:
        record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        is_unchanged = files.digest(path) == record["sha256"]
    except (OSError, ValueError, KeyError) as error:
        raise PackError(f"{path} or its record cannot be read; reinstall the program") from error
    if not is_unchanged:
        raise PackError(f"{path} is not the file that was installed with the program; reinstall the program")
    return path


def require_fit(pack: Pack, settings: ModelsSettings, unfit: str | None, remedy: str = "") -> None:
    """Raise :class:`PackError` if ``unfit`` says why ``pack`` does not suit decisions and the settings refuse it.

    ``remedy``: what to do; by default, to use the preferred pack.
    """
    if unfit and settings.require_fit:
        command = shell_command(f"models pull {PREFERRED}")
        remedy = remedy or f"run `{command}` and set COMPAREFACE_MODELS__PACK={PREFERRED}"
        raise PackError(f"{unfit} COMPAREFACE_MODELS__REQUIRE_FIT refuses the pack {pack.name}: {remedy}")


class Store:
    """The packs of a catalogue and their weight files. The folders of weights need not exist."""

    def __init__(self, catalogue: Path, weights: Path) -> None:
        self._catalogue = catalogue
        self._weights = weights

    @classmethod
    def from_settings(cls, settings: ModelsSettings) -> Self:
        """Return the store of this installation.

        By default a checkout keeps weights in ``models/``, an installed wheel in the user's cache folder. Raise
        :class:`PackError` if a configured folder does not exist: its name may be misspelt.
        """
        if settings.weights_dir and not settings.weights_dir.is_dir():
            raise PackError(
                f"COMPAREFACE_MODELS__WEIGHTS_DIR: there is no folder {settings.weights_dir}; create it first"
            )
        catalogue = shipped_catalogue()
        weights = catalogue if catalogue == _CHECKOUT_CATALOGUE else platformdirs.user_cache_path("compareface")
        return cls(catalogue, settings.weights_dir or weights)

    @classmethod
    def with_selected_pack(cls, settings: ModelsSettings, name: str | None = None) -> tuple[Self, Pack]:
        """Return the store of this installation, and the pack ``name`` or else the one that the settings select."""
        store = cls.from_settings(settings)
        return store, store.pack(name) if name else store.select_pack(settings)

    def select_pack(self, settings: ModelsSettings) -> Pack:
        """Return the pack that the settings name; see :data:`PREFERRED` for ``auto``."""
        if not settings.is_automatic:
            return self.pack(settings.pack)
        preferred = self.pack(PREFERRED)
        return preferred if self.is_installed(preferred.without_int8()) else self.pack(FALLBACK)

    def names(self) -> tuple[str, ...]:
        """Return the names of all packs, sorted."""
        return tuple(sorted(path.parent.name for path in self._catalogue.glob("*/pack.toml")))

    def pack(self, name: str) -> Pack:
        names = self.names()
        if name not in names:
            known = ", ".join(names) or f"none in {self._catalogue}"
            raise PackError(f"there is no pack {name}; known packs: {known}")
        return manifest.load(self._catalogue / name / "pack.toml")

    def folder(self, pack: Pack) -> Path:
        return self._weights / pack.name

    def path(self, pack: Pack, file: PackFile) -> Path:
        return self.folder(pack) / file.name

    def degradation_path(self, pack: Pack) -> Path | None:
        """Return the path of the pack's degradation model, if it has one."""
        path = self._catalogue / pack.name / "degradation.npz"
        return path if path.exists() else None

    @property
    def downloads_folder(self) -> Path:
        return self._weights / ".downloads"

    def calibration_path(self, name: str) -> Path:
        """Return the path of the operator's calibration if it exists, else of the shipped one."""
        custom = self.custom_calibration_path(name)
        return custom if custom.exists() else self._catalogue / name / "calibration.toml"

    def custom_calibration_path(self, name: str) -> Path:
        return self._weights / name / "calibration.own.toml"

    def is_licence_accepted(self, pack: Pack) -> bool:
        """Return whether the licence needs no acceptance, or was accepted in this version."""
        if not pack.licence.needs_acceptance:
            return True
        try:
            record = tomllib.loads((self.folder(pack) / _ACCEPTED_LICENCE).read_text("utf-8"))
        except (OSError, ValueError):
            return False
        return (record.get("licence"), record.get("url")) == (pack.licence.name, pack.licence.url)

    def accept_licence(self, pack: Pack) -> None:
        record = (
            "# The licence was accepted when the pack was pulled. Without this file the pack is not loaded.\n"
            f"licence = {files.toml_value(pack.licence.name)}\n"
            f"url = {files.toml_value(pack.licence.url)}\n"
            f"accepted = {datetime.now(UTC).isoformat(timespec='seconds')}\n"
        )
        files.write(self.folder(pack) / _ACCEPTED_LICENCE, record.encode())

    def states(self, pack: Pack) -> Mapping[str, FileState]:
        """Return the state of every weight file by name."""
        return {file.name: self._state(pack, file) for file in pack.files}

    def is_installed(self, pack: Pack) -> bool:
        """Return whether all weight files exist, without checking their content (see :meth:`resolve`)."""
        return all(self.path(pack, file).exists() for file in pack.files)

    def outdated_files(self, pack: Pack) -> tuple[PackFile, ...]:
        """Return the weight files that are missing or changed."""
        return tuple(file for file in pack.files if self._state(pack, file) is not FileState.READY)

    def build(self, pack: Pack, progress: Callable[[PackFile], object] = lambda file: None) -> tuple[PackFile, ...]:
        """Build the missing and changed files whose source is an installed package, and return them.

        ``progress`` is called after each file.
        """
        built = []
        for file in self.outdated_files(pack):
            if isinstance(file.source, PackageSource):
                files.write(self.path(pack, file), build.build_from_package(file, file.source))
                progress(file)
                built.append(file)
        return tuple(built)

    def build_missing(self, pack: Pack) -> None:
        """Build the missing files like :meth:`build`, unless a file is changed: :meth:`resolve` reports that."""
        if not self.is_installed(pack) and FileState.CHANGED not in self.states(pack).values():
            self.build(pack)

    def resolve(self, pack: Pack) -> Mapping[str, Path]:
        """Return the paths of the weight files by name, without building anything.

        Raise :class:`PackError` if a file is missing or changed, or if the licence is not accepted.
        """
        problems = [f"{name} is {state}" for name, state in self.states(pack).items() if state is not FileState.READY]
        if problems:
            command = "pull" if pack.downloads else "prepare"
            raise PackError(
                f"pack {pack.name} in {self.folder(pack)}: {', '.join(problems)}; "
                f"run `{shell_command(f'models {command} {pack.name}')}`"
            )
        if not self.is_licence_accepted(pack):
            raise PackError(
                f"the licence of pack {pack.name} has not been accepted ({pack.licence.name}, {pack.licence.url}); "
                f"run `{shell_command(f'models pull {pack.name}')}`"
            )
        return {file.name: self.path(pack, file) for file in pack.files}

    def prepare(self, pack: Pack, runtime: RuntimeSettings) -> tuple[Pack, Mapping[str, Path]]:
        """Build missing files; return the pack to run and the paths of its files.

        The pack has no int8 embedder if the settings do not use it or if it is missing and cannot be built. The latter
        happens in a read-only folder or a download of an older version.
        """
        if pack.embedder.file_for(runtime) == pack.embedder.file:
            pack = pack.without_int8()
        try:
            self.build_missing(pack)
            if not self.is_installed(pack):  # a download of an older version, or none
                self.resolve(pack)
        except PackError as error:
            if pack.embedder.int8_file is None:
                raise
            pack = pack.without_int8()
            self.build_missing(pack)
            paths = self.resolve(pack)
            _log.warning(
                "cannot build the int8 embedder, using the slower float32 embedder",
                extra={"fields": {"reason": str(error)}},
            )
            return pack, paths
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
