"""Settings: one frozen tree, read once from the environment by ``cli`` and ``asgi``, handed down in parts.

``COMPAREFACE_<GROUP>__<FIELD>`` names a setting (``COMPAREFACE_SERVER__PORT=9000``). A name that no field claims
is refused, so that a misspelt setting cannot go unnoticed. README lists all of them (a test holds it to that).
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
"""What Kubernetes adds to the environment of pods beside a Service called `compareface`."""


class SettingsError(OperatorError):
    """The configuration cannot be used; the text is for the operator."""


class Settings(BaseSettings):
    """The whole tree."""

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
        """Whether requests are let in without a signature."""
        return self.auth.mode == "off" or not self.auth.has_keys

    def check_may_serve(self, *, on_loopback: bool) -> None:
        """Raise :class:`SettingsError` where strangers would be let in without that having been said."""
        if self.is_open and self.auth.mode != "off" and not on_loopback:
            raise SettingsError(
                "no keys are configured, so nobody but this machine may be served: set COMPAREFACE_AUTH__KEYS, "
                "COMPAREFACE_AUTH__KEYS_FILE, or let everybody in with COMPAREFACE_AUTH__MODE=off"
            )


def environment_names() -> list[str]:
    """Every environment variable that a setting claims."""
    return [
        f"{_PREFIX}{group}__{field}".upper()
        for group, info in Settings.model_fields.items()
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)
        for field in info.annotation.model_fields
    ]


def load_settings() -> Settings:
    """Read the settings from the environment; raise :class:`SettingsError` with a text for the operator."""
    claimed = environment_names()
    ours = [name for name in os.environ if name.upper().startswith(_PREFIX) and not _KUBERNETES.fullmatch(name)]
    unknown = sorted(name for name in ours if name.upper() not in claimed)
    if unknown:
        raise SettingsError(f"unknown setting: {', '.join(_with_hint(name, claimed) for name in unknown)}")
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("; ".join(_complaint(detail) for detail in error.errors())) from error


def _with_hint(name: str, claimed: list[str]) -> str:
    near = difflib.get_close_matches(name.upper(), claimed, n=1, cutoff=0.8)
    return f"{name} (is {near[0]} meant?)" if near else name


def _complaint(detail: ErrorDetails) -> str:
    """One error in the operator's words; never the value, which may be a secret."""
    name = _PREFIX + "__".join(str(part) for part in detail["loc"][:2]).upper() if detail["loc"] else ""
    is_switch = detail["type"] in {"bool_parsing", "bool_type"}
    message = "Input should be 'true' or 'false'" if is_switch else detail["msg"].removeprefix("Value error, ")
    return f"{name}: {message}" if name else message
