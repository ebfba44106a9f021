"""KeyRing: the callers that the operator knows, with their keys and what each may do.

Callers come from the settings, ``SecretId:SecretKey``, and from a TOML file that is read again when it changes, so that
keys are added, rotated and withdrawn without a restart::

    [callers.AKIDpayments]
    keys = [{ label = "2026-11", secret_key = "…" }, { label = "2026-05", secret_key = "…" }]
    requests_per_second = 50
    actions = ["CompareFace"]
    default_face_model_version = "2.0"
    face_model_versions = ["2.0", "3.0"]

A file that cannot be used stops the start; later on it is logged, and the keys before it stay in force.
"""

from __future__ import annotations

import logging
import re
import time
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.domain import FaceModelVersion
from app.environment import SettingsError
from app.errors import ApiError, ErrorCode
from app.settings import AuthSettings

_EVERY_S = 1.0  # how often the file is looked at
_SETTING = "COMPAREFACE_AUTH__KEYS_FILE"
_PLACE = re.compile(r"\(at (line \d+, column \d+|end of document)\)$")

_log = logging.getLogger(__name__)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Key(_Record):
    """One secret key of a caller; with a token these are temporary credentials, which may expire."""

    label: Annotated[str, Field(pattern=r"^[\w.-]{1,64}$")]
    secret_key: str = Field(min_length=1, repr=False)
    token: str = Field("", repr=False)
    expires: AwareDatetime | None = None

    def is_expired(self, now: float) -> bool:
        return self.expires is not None and now >= self.expires.timestamp()


class Caller(_Record):
    """Who shares one SecretId, and what they may do. Several keys, so that they can be rotated."""

    keys: tuple[Key, ...] = ()
    requests_per_second: int | None = Field(None, ge=1)
    actions: frozenset[str] | None = None
    default_face_model_version: FaceModelVersion = FaceModelVersion.V3
    face_model_versions: frozenset[FaceModelVersion] = frozenset(FaceModelVersion)

    @model_validator(mode="after")
    def _check(self) -> Caller:
        if self.default_face_model_version not in self.face_model_versions:
            raise ValueError("default_face_model_version is not among face_model_versions")
        if len({key.label for key in self.keys}) < len(self.keys):
            raise ValueError("two keys have the same label")
        return self

    def may(self, action: str) -> bool:
        return self.actions is None or action in self.actions

    def face_model_version(self, asked: str | None) -> FaceModelVersion:
        """Return the version to use; raise ``FaceModelVersionIllegal`` for one unknown or not allowed."""
        try:
            version = self.default_face_model_version if asked is None else FaceModelVersion(asked)
        except ValueError as error:
            raise ApiError(ErrorCode.FACE_MODEL_VERSION_ILLEGAL) from error
        if version not in self.face_model_versions:
            raise ApiError(ErrorCode.FACE_MODEL_VERSION_ILLEGAL)
        return version


ANONYMOUS = Caller()
"""Who has not been asked for a signature."""


class _File(_Record):
    callers: Mapping[str, Caller] = {}

    @model_validator(mode="after")
    def _check_callers(self) -> _File:
        for caller in self.callers.values():
            if not caller.keys:
                raise ValueError("a caller has no keys")
        return self


class KeyRing:
    """Callers by SecretId, as of the last look at the file. Belongs to one thread."""

    def __init__(self, settings: AuthSettings, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the file, if there is one; raise ``SettingsError`` where it cannot be used."""
        self._of_settings = {
            secret_id: Caller(
                keys=tuple(Key(label=f"{n}", secret_key=key) for n, key in enumerate(secret_keys, start=1))
            )
            for secret_id, secret_keys in settings.secret_keys.items()
        }
        self._path = settings.keys_file
        self._clock = clock
        self._looked = clock()
        self._stamp = _stamp(self._path)
        self._complaint = ""
        self._callers = self._read()

    def callers(self) -> Mapping[str, Caller]:
        """Return the callers by SecretId."""
        if self._path is not None and self._clock() - self._looked >= _EVERY_S:
            self._looked = self._clock()
            self._refresh()
        return self._callers

    def _refresh(self) -> None:
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        try:
            self._callers = self._read()
        except SettingsError as error:  # tried again at every look, but told once
            if self._complaint != str(error):
                self._complaint = str(error)
                _log.error("keys not renewed", extra={"fields": {"reason": self._complaint}})
        else:
            self._stamp, self._complaint = stamp, ""
            _log.info("keys renewed", extra={"fields": {"callers": len(self._callers)}})

    def _read(self) -> Mapping[str, Caller]:
        if self._path is None:
            return self._of_settings
        of_file = _parse(self._path)
        twice = sorted(of_file.keys() & self._of_settings.keys())
        if twice:
            raise SettingsError(f"{_SETTING}: {twice[0]} is in COMPAREFACE_AUTH__KEYS, too")
        return {**self._of_settings, **of_file}


def _stamp(path: Path | None) -> object:
    """Return what changes when the file does; a mounted secret is a link that is pointed elsewhere."""
    try:
        status = path.stat() if path else None
    except OSError:
        return None
    return status and (status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size)


def _parse(path: Path) -> Mapping[str, Caller]:
    try:
        return _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).callers
    except OSError as error:
        raise SettingsError(f"{_SETTING}: {path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"{_SETTING}: {path}: {where}: {first['msg'].removeprefix('Value error, ')}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{_SETTING}: {path}, line {_line(error)}: not UTF-8") from error
    except tomllib.TOMLDecodeError as error:  # its text may quote a key, but for where it is
        place = _PLACE.search(str(error))
        raise SettingsError(f"{_SETTING}: {path}{f', {place[1]}' if place else ''}: not TOML") from error


def _line(error: UnicodeDecodeError) -> int:
    return error.object.count(b"\n", 0, error.start) + 1
