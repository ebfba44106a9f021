"""The tree of all settings, read once from environment variables by ``cli`` and ``asgi`` and passed on in groups.

``COMPAREFACE_<GROUP>__<FIELD>`` sets a field (``COMPAREFACE_SERVER__PORT=9000``). Unknown names with this prefix are
rejected, so that a misspelt setting is noticed.
"""

import os
import re
from enum import Enum
from typing import Self

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from app import settings
from app.errors import OperatorError
from app.validation import Location, describe_validation_error, is_text, suggestion

_PREFIX = "COMPAREFACE_"
_KUBERNETES = re.compile(rf"{_PREFIX}(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_\w+)?)?)")
"""Variables that Kubernetes sets in all pods of a namespace with a Service called `compareface`."""


_CREDENTIALS = re.compile(r"//.*@")
MASK = "*" * 10
"""Replaces secrets, as in ``SecretStr``."""


class SettingsError(OperatorError):
    """The settings cannot be used."""


class Settings(BaseSettings):
    """All settings."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=_PREFIX, env_nested_delimiter="__", hide_input_in_errors=True
    )

    server: settings.ServerSettings = settings.ServerSettings()
    auth: settings.AuthSettings = settings.AuthSettings()
    limits: settings.LimitsSettings = settings.LimitsSettings()
    wire: settings.WireSettings = settings.WireSettings()
    fetch: settings.FetchSettings = settings.FetchSettings()
    models: settings.ModelsSettings = settings.ModelsSettings()
    runtime: settings.RuntimeSettings = settings.RuntimeSettings()
    compare: settings.CompareSettings = settings.CompareSettings()
    quality: settings.QualitySettings = settings.QualitySettings()
    playground: settings.PlaygroundSettings = settings.PlaygroundSettings()
    log: settings.LogSettings = settings.LogSettings()
    metrics: settings.MetricsSettings = settings.MetricsSettings()
    traces: settings.TracesSettings = settings.TracesSettings()

    @property
    def is_open(self) -> bool:
        """Whether no request needs a signature: ``auth.mode`` is ``off``, or no keys are configured.

        Otherwise ``auth.skip`` may still accept some without one.
        """
        return self.auth.mode == "off" or not (self.auth.keys_file or self.auth.secret_keys)

    def for_each_of(self, processes: int, cores: int) -> Self:
        """Return the settings of each of several server processes, which share ``cores`` and the limits."""
        shares = {name: -(-getattr(self.limits, name) // processes) for name in ("max_connections", "max_in_flight")}
        runtime = self.runtime.model_copy(update={"threads": -(-cores // processes)})
        return self.model_copy(update={"limits": self.limits.model_copy(update=shares), "runtime": runtime})

    def check_may_serve(self, *, on_loopback: bool) -> None:
        """Raise ``SettingsError`` if other hosts could connect while ``auth.mode`` is ``required`` without any key."""
        if self.is_open and self.auth.mode != "off" and not on_loopback:
            raise SettingsError(
                "no keys are configured, so the service may only listen on loopback: set COMPAREFACE_AUTH__KEYS or "
                "COMPAREFACE_AUTH__KEYS_FILE, or accept every request with COMPAREFACE_AUTH__MODE=off"
            )


def settings_fields() -> dict[str, FieldInfo]:
    """Return the fields of all settings by environment variable."""
    return {
        _environment_name((group, name)): field
        for group, defaults in Settings.model_construct()
        for name, field in type(defaults).model_fields.items()
    }


def environment_text(value: object) -> str:
    """Return a setting in the form of an environment variable; "" for no value, asterisks for a secret.

    A password in a URL is a secret.
    """
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case Enum():
            return str(value.value)
        case tuple():
            return ",".join(map(environment_text, value))
    return _CREDENTIALS.sub(f"//{MASK}@", str(value))


def load_settings() -> Settings:
    """Read the settings from the environment; raise :class:`SettingsError` if they are invalid."""
    known = list(settings_fields())
    used = [name for name in os.environ if name.upper().startswith(_PREFIX) and not _KUBERNETES.fullmatch(name)]
    unknown = sorted(name for name in used if name.upper() not in known)
    if unknown:
        raise SettingsError(f"unknown setting: {', '.join(name + suggestion(name.upper(), known) for name in unknown)}")
    for name in used:
        if not is_text(os.environ[name]):
            raise SettingsError(f"{name}: must be text in UTF-8")
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(describe_validation_error(error, _environment_name, show_values=True)) from error


def _environment_name(location: Location) -> str:
    """Return the variable of a field; "" for a group, whose messages name variables."""
    if len(location) == 1:
        return ""
    return _PREFIX + "__".join(map(str, location[:2])).upper()
