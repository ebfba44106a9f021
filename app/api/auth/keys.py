"""KeyRing: the configured callers, with their keys and permissions.

Callers come from the settings (``SecretId:SecretKey``) and from a TOML file. The file is read again when it changes,
so keys can be added, rotated and revoked without a restart::

    [callers.AKIDpayments]
    keys = [{ label = "2026-11", secret_key = "…" }, { label = "2026-05", secret_key = "…" }]
    requests_per_second = 50
    actions = ["CompareFace"]
    default_face_model_version = "2.0"
    face_model_versions = ["2.0", "3.0"]
    population = "matched"

At startup an invalid file is an error. Later it is logged, and the previous keys stay active.
"""

import logging
import re
import time
import tomllib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from app.api.request import is_absent
from app.domain import ActionName, FaceModelVersion, Population
from app.environment import SettingsError
from app.errors import ApiError, ErrorCode
from app.setting_types import SECRET_ID, SECRET_KEY
from app.settings import AuthSettings
from app.validation import describe_validation_error

_CHECK_INTERVAL_S = 1.0
"""Seconds between checks whether the file has changed."""
_SETTING = "COMPAREFACE_AUTH__KEYS_FILE"
_MIN_SECRET_KEY_LENGTH = 16
"""Characters; a shorter key may be guessed."""
_ID, _SECRET = re.compile(SECRET_ID), re.compile(SECRET_KEY)
_LABEL = re.compile(r"[\w.-]{1,64}")
_TOML_POSITION = re.compile(r"\(at (line \d+, column \d+|end of document)\)$")

_log = logging.getLogger(__name__)


class _FileModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Key(_FileModel):
    """One secret key of a caller, which may expire. With a token, it is a temporary credential."""

    label: str
    secret_key: str = Field(min_length=1, repr=False)
    token: str = Field("", repr=False)
    expires: AwareDatetime | None = None

    @field_validator("label")
    @classmethod
    def _check_label(cls, value: str) -> str:
        if not _LABEL.fullmatch(value):
            raise ValueError("must be 1 to 64 letters, digits, '_', '.' and '-'")
        return value

    @field_validator("secret_key", "token")
    @classmethod
    def _check_secret(cls, value: str) -> str:
        if value and not _SECRET.fullmatch(value):
            raise ValueError("must be ASCII characters without spaces")
        return value

    def is_expired(self, now: float) -> bool:
        return self.expires is not None and now >= self.expires.timestamp()


class Caller(_FileModel):
    """The keys and permissions of one SecretId. Several keys allow rotation.

    ``requests_per_second`` and ``actions``: None is no limit. ``requests_per_second`` counts for each action.
    ``population``: None selects the server's default.
    """

    keys: tuple[Key, ...] = ()
    requests_per_second: int | None = Field(None, ge=1)
    actions: frozenset[ActionName] | None = None
    default_face_model_version: FaceModelVersion = FaceModelVersion.V3
    face_model_versions: frozenset[FaceModelVersion] = frozenset(FaceModelVersion)
    population: Population | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.default_face_model_version not in self.face_model_versions:
            raise ValueError("default_face_model_version is not among face_model_versions")
        if len({key.label for key in self.keys}) < len(self.keys):
            raise ValueError("two keys have the same label")
        if any(key.token and is_absent(key.token) for key in self.keys):
            raise ValueError("a token is a text that clients send instead of no token")
        return self

    def may_call(self, action: str) -> bool:
        return self.actions is None or action in self.actions

    def face_model_version(self, requested: str | None) -> FaceModelVersion:
        """Return the version to use; raise ``FaceModelVersionIllegal`` if it is unknown or not allowed."""
        if requested is None:
            return self.default_face_model_version
        if requested not in self.face_model_versions:
            raise ApiError(ErrorCode.FACE_MODEL_VERSION_ILLEGAL)
        return FaceModelVersion(requested)


ANONYMOUS = Caller()
"""The caller of requests that need no signature."""


class _KeyFile(_FileModel):
    callers: Mapping[str, Caller] = {}

    @model_validator(mode="after")
    def _check_callers(self) -> Self:
        for secret_id, caller in self.callers.items():
            if not _ID.fullmatch(secret_id):
                raise ValueError(f"{secret_id!r} is not a SecretId of letters, digits, '_', '.' and '-'")
            if not caller.keys:
                raise ValueError(f"{secret_id} has no keys")
        return self


_KNOWN_NAMES = sorted({*_KeyFile.model_fields, *Caller.model_fields, *Key.model_fields})


class KeyRing:
    """The callers by SecretId, reloaded when the file changes. Belongs to one thread."""

    def __init__(self, configured: Mapping[str, Caller], path: Path | None, clock: Callable[[], float]) -> None:
        """``configured``: the callers besides those of the file at ``path``."""
        self._configured = self._callers = configured
        self._path = path
        self._clock = clock
        self._checked_at = clock()
        self._fingerprint: object = None
        self._last_error = ""
        self._populations: Collection[Population] = tuple(Population)

    @classmethod
    def open(cls, settings: AuthSettings, clock: Callable[[], float] = time.monotonic) -> Self:
        """Read the file, if one is configured; raise ``SettingsError`` if it is not valid."""
        configured = {
            secret_id: Caller(keys=tuple(Key(label=str(n), secret_key=key) for n, key in enumerate(secret_keys, 1)))
            for secret_id, secret_keys in settings.secret_keys.items()
        }
        ring = cls(configured, settings.keys_file, clock)
        ring._fingerprint, ring._callers = _fingerprint(settings.keys_file), ring._read()
        return ring

    def restrict_populations(self, populations: Collection[Population]) -> None:
        """Reject files with callers of other populations from now on; raise ``SettingsError`` for the current one."""
        self._populations = populations
        self._check_populations(self._callers)

    def log_short_keys(self) -> None:
        """Warn of keys of the file that are easy to guess."""
        file_callers = {name: caller for name, caller in self._callers.items() if name not in self._configured}
        labels = [
            f"{secret_id}/{key.label}"
            for secret_id, caller in file_callers.items()
            for key in caller.keys
            if len(key.secret_key) < _MIN_SECRET_KEY_LENGTH
        ]
        if labels:
            text = f"the key file has keys of fewer than {_MIN_SECRET_KEY_LENGTH} characters"
            _log.warning(text, extra={"fields": {"keys": labels}})

    def callers(self) -> Mapping[str, Caller]:
        """Return the callers by SecretId."""
        if self._path is not None and self._clock() - self._checked_at >= _CHECK_INTERVAL_S:
            self._checked_at = self._clock()
            self._reload()
        return self._callers

    def _reload(self) -> None:
        fingerprint = _fingerprint(self._path)
        if fingerprint == self._fingerprint:
            return
        try:
            self._callers = self._read()
        except SettingsError as error:  # retried at every check, logged once
            if str(error) != self._last_error:
                self._last_error = str(error)
                fields = {"reason": self._last_error}
                _log.error("key file reload failed, keeping the previous keys", extra={"fields": fields})
        else:
            self._fingerprint, self._last_error = fingerprint, ""
            _log.info("key file reloaded", extra={"fields": {"callers": len(self._callers)}})
            self.log_short_keys()

    def _read(self) -> Mapping[str, Caller]:
        if self._path is None:
            return self._configured
        callers = _parse(self._path)
        duplicates = sorted(callers.keys() & self._configured.keys())
        if duplicates:
            raise SettingsError(f"{_SETTING}: {duplicates[0]} is also in COMPAREFACE_AUTH__KEYS; remove it from one")
        self._check_populations(callers)
        return {**self._configured, **callers}

    def _check_populations(self, callers: Mapping[str, Caller]) -> None:
        for secret_id, caller in sorted(callers.items()):
            if caller.population is not None and caller.population not in self._populations:
                raise SettingsError(
                    f"{_SETTING}: {secret_id} selects the population {caller.population}, but the calibration has only "
                    f"{', '.join(sorted(self._populations))}"
                )


def _fingerprint(path: Path | None) -> object:
    """Return a value that changes with the file. A mounted secret is a symbolic link whose target changes."""
    try:
        status = path.stat() if path else None
    except OSError:
        return None
    return status and (status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size)


def _parse(path: Path) -> Mapping[str, Caller]:
    try:
        callers = _KeyFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8-sig"))).callers
    except OSError as error:
        raise SettingsError(f"{_SETTING}: {path}: {error.strerror}") from error
    except ValidationError as error:
        raise SettingsError(
            f"{_SETTING}: {path}: {describe_validation_error(error, known_names=_KNOWN_NAMES)}"
        ) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{_SETTING}: {path}, line {line}: not UTF-8") from error
    except tomllib.TOMLDecodeError as error:  # its text may quote a key, so only the position is reported
        position = _TOML_POSITION.search(str(error))
        raise SettingsError(f"{_SETTING}: {path}{f', {position[1]}' if position else ''}: not TOML") from error
    if not callers:  # perhaps the file is being rewritten
        raise SettingsError(f"{_SETTING}: {path} has no callers")
    return callers
