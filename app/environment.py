"""The tree of all settings, read once from environment variables by ``cli`` and ``asgi`` and passed on in groups.

``COMPAREFACE_<GROUP>__<FIELD>`` sets a field (``COMPAREFACE_SERVER__PORT=9000``). Unknown names with this prefix are
rejected, so that a misspelt setting is noticed.
"""

from __future__ import annotations

import difflib
import os
import re

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.errors import OperatorError
from app.settings import (
    AuthSettings,
    CompareSettings,
    FetchSettings,
    LimitsSettings,
    LogSettings,
    MetricsSettings,
    ModelsSettings,
    PlaygroundSettings,
    QualitySettings,
    RuntimeSettings,
    ServerSettings,
    TracesSettings,
    WireSettings,
)

_PREFIX = "COMPAREFACE_"
_KUBERNETES = re.compile(rf"{_PREFIX}(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_\w+)?)?)")
"""Variables that Kubernetes sets in all pods of a namespace with a Service called `compareface`."""


class SettingsError(OperatorError):
    """The settings cannot be used."""


class Settings(BaseSettings):
    """All settings."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=_PREFIX,
        env_nested_delimiter="__",
        hide_input_in_errors=True,
    )

    server: ServerSettings = ServerSettings()
    auth: AuthSettings = AuthSettings()
    limits: LimitsSettings = LimitsSettings()
    wire: WireSettings = WireSettings()
    fetch: FetchSettings = FetchSettings()
    models: ModelsSettings = ModelsSettings()
    runtime: RuntimeSettings = RuntimeSettings()
    compare: CompareSettings = CompareSettings()
    quality: QualitySettings = QualitySettings()
    playground: PlaygroundSettings = PlaygroundSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    traces: TracesSettings = TracesSettings()

    @property
    def is_open(self) -> bool:
        """Whether requests without a signature are accepted."""
        return self.auth.mode == "off" or not self.auth.has_keys

    def check_may_serve(self, *, on_loopback: bool) -> None:
        """Raise ``SettingsError`` if other hosts could send unsigned requests while ``auth.mode`` is ``required``."""
        if self.is_open and self.auth.mode != "off" and not on_loopback:
            raise SettingsError(
                "no keys are configured, so the service may only listen on loopback: set COMPAREFACE_AUTH__KEYS or "
                "COMPAREFACE_AUTH__KEYS_FILE, or accept every request with COMPAREFACE_AUTH__MODE=off"
            )


def environment_names() -> list[str]:
    """Return the environment variables of all settings."""
    return [
        f"{_PREFIX}{group}__{field}".upper()
        for group, info in Settings.model_fields.items()
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)
        for field in info.annotation.model_fields
    ]


def load_settings() -> Settings:
    """Read the settings from the environment; raise :class:`SettingsError` if they are invalid."""
    known = environment_names()
    used = [name for name in os.environ if name.upper().startswith(_PREFIX) and not _KUBERNETES.fullmatch(name)]
    unknown = sorted(name for name in used if name.upper() not in known)
    if unknown:
        raise SettingsError(f"unknown setting: {', '.join(_with_suggestion(name, known) for name in unknown)}")
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("; ".join(_message(detail) for detail in error.errors())) from error


def _with_suggestion(name: str, known: list[str]) -> str:
    similar = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.8)
    return f"{name} (did you mean {similar[0]}?)" if similar else name


def _message(detail: ErrorDetails) -> str:
    """Return one error as ``NAME: reason``, without the value, which may be a secret."""
    name = _PREFIX + "__".join(str(part) for part in detail["loc"][:2]).upper() if detail["loc"] else ""
    is_boolean = detail["type"] in {"bool_parsing", "bool_type"}
    reason = "Input should be 'true' or 'false'" if is_boolean else detail["msg"].removeprefix("Value error, ")
    return f"{name}: {reason}" if name else reason
