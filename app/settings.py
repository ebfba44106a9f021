"""The groups of settings: names, defaults, limits and descriptions.

``app.environment`` combines them in one tree and reads it from environment variables. A component receives only the
group that it needs. ``deploy/settings_table.py`` prints the descriptions as a table for the documentation.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from app.domain import MatchingStrategy, QualityPolicy

_MIB = 1024 * 1024
_PACK_NAME = r"^[a-z0-9][a-z0-9_-]*$"


def _split_at_commas(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


_CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_at_commas)]


class Group(BaseModel):
    """Base class of the groups."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ServerSettings(Group):
    """Address and shutdown of the server."""

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="TCP port; 0 selects a free port.")
    readiness_delay_s: float = Field(
        1.0,
        ge=0,
        description="Seconds at shutdown during which `/readyz` returns 503 but requests are still accepted, so that "
        "load balancers stop sending new ones.",
    )
    drain_s: int = Field(30, ge=0, description="Seconds after that for running requests to finish.")

    @property
    def is_loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class AuthSettings(Group):
    """Authentication of clients."""

    mode: Literal["required", "off"] = Field(
        "required", description="`required` verifies signatures; `off` accepts every request."
    )
    keys: SecretStr = Field(SecretStr(""), description="Accepted keys as `SecretId:SecretKey`, separated by commas.")
    keys_file: Annotated[Path | None, BeforeValidator(lambda value: value or None)] = Field(
        None,
        description="TOML file with callers, their keys, tokens, rate limits and permissions. It is reloaded when it "
        "changes.",
    )
    skip: Literal["refuse", "allow"] = Field(
        "refuse", description="`allow` accepts unsigned requests with `Authorization: SKIP`, an option of the SDKs."
    )
    v1: Literal["allow", "refuse"] = Field(
        "allow",
        description="`refuse` rejects the older signatures HmacSHA1 and HmacSHA256, which cover less of a request.",
    )
    max_skew_s: int = Field(
        300, ge=1, description="Maximum difference in seconds between a request's timestamp and the server's clock."
    )
    hosts: _CommaSeparated = Field(
        (), description="Public host names of the service, if a proxy changes the host that clients sign."
    )

    @field_validator("keys")
    @classmethod
    def _check_keys(cls, value: SecretStr) -> SecretStr:
        _parse_keys(value)
        return value

    @property
    def secret_keys(self) -> Mapping[str, tuple[str, ...]]:
        """SecretKeys by SecretId; an id may have several, so that keys can be rotated."""
        return _parse_keys(self.keys)


def _parse_keys(value: SecretStr) -> dict[str, tuple[str, ...]]:
    keys: dict[str, tuple[str, ...]] = {}
    for number, entry in enumerate(value.get_secret_value().replace("\n", ",").split(","), start=1):
        if not entry.strip():
            continue
        secret_id, colon, secret_key = entry.strip().partition(":")
        if not (secret_id and colon and secret_key):
            raise ValueError(f"entry {number} is not of the form SecretId:SecretKey")
        keys[secret_id.strip()] = (*keys.get(secret_id.strip(), ()), secret_key.strip())
    return keys


class LimitsSettings(Group):
    """Limits that keep the service responsive under load."""

    max_body_bytes: int = Field(
        11 * _MIB, ge=1024, description="Largest request body: two images of 5 MB and their JSON."
    )
    max_v1_body_bytes: int = Field(
        _MIB, ge=1024, description="Largest body of a request signed by HmacSHA1 or HmacSHA256, as in Tencent Cloud."
    )
    max_query_bytes: int = Field(32 * 1024, ge=1024, description="Largest query string of a GET request.")
    max_connections: int = Field(
        1000,
        ge=1,
        description="Open connections, or fewer if the system allows fewer open files. Beyond that, the longest idle "
        "connection is closed. At most a quarter as many requests are queued.",
    )
    header_timeout_s: float = Field(
        10.0,
        gt=0,
        description="Seconds for the head of a request to arrive after the connection opens or the last response.",
    )
    min_body_rate: int = Field(
        32 * 1024,
        ge=1,
        description="Slowest upload of a body in bytes per second, after the first five seconds. Slower requests fail "
        "with RequestTimeout.",
    )
    max_in_flight: int = Field(
        32, ge=1, description="Requests processed at the same time; each may hold its body in memory."
    )
    max_wait_s: float = Field(
        5.0,
        ge=0,
        description="Seconds in the queue after which all queued requests fail with RequestLimitExceeded; at most half "
        "of `deadline_s`.",
    )
    deadline_s: float = Field(30.0, gt=0, description="Seconds for the whole request.")


class WireSettings(Group):
    """Parsing of requests."""

    parameters: Literal["strict", "lenient"] = Field(
        "strict",
        description="`strict` rejects unknown parameters and wrong JSON types, as Tencent Cloud does; `lenient` "
        'ignores unknown parameters and accepts `"1"` for 1.',
    )


class FetchSettings(Group):
    """Download of images by URL."""

    allow: _CommaSeparated = Field(
        (), description="Private networks (10.1.0.0/16) or host names from which images may be fetched."
    )
    timeout_s: float = Field(10.0, gt=0, description="Seconds to fetch one image, including redirects.")
    max_redirects: int = Field(3, ge=0, description="Redirects to follow; the target of each one is checked.")


class ModelsSettings(Group):
    """Model packs and their files."""

    pack: str = Field(
        "auto", pattern=_PACK_NAME, description="Model pack; `auto` selects `omz` if it is installed, else `open`."
    )
    weights_dir: Path | None = Field(
        None, description="Folder for weight files; by default `models/` in a checkout, else the user's cache."
    )
    pack_2_0: str | None = Field(
        None, pattern=_PACK_NAME, description="Pack for `FaceModelVersion` 2.0; by default the same pack."
    )
    mirrors: _CommaSeparated = Field(
        (), description="http(s) URLs of folders with weight files, tried in order before the original URL of a file."
    )

    @field_validator("mirrors")
    @classmethod
    def _check_mirrors(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(re.fullmatch(r"https?://[^\s/]+(/\S*)?", address) for address in value):
            raise ValueError("a mirror is a URL that starts with https:// or http://")
        return value

    @property
    def is_automatic(self) -> bool:
        """Whether the installed files determine the pack."""
        return self.pack == "auto"


class RuntimeSettings(Group):
    """Inference."""

    device: Literal["cpu", "cuda", "tensorrt"] = Field(
        "cpu", description="Device for the models: `cpu`, `cuda` or `tensorrt`. The service never uses another one."
    )
    threads: int | None = Field(
        None, ge=1, description="CPU threads; by default the cores that the CPU affinity and the cgroup quota allow."
    )
    int8: bool = Field(True, description="Whether to run a pack's int8 model on the CPU, if it has one.")


class CompareSettings(Group):
    """Defaults of CompareFace."""

    matching_strategy: MatchingStrategy = Field(
        MatchingStrategy.LARGEST,
        description="Default of `FaceMatchingStrategy`: 1 compares the largest face of an image, 0 the most confident.",
    )


class QualitySettings(Group):
    """Quality control."""

    policy: QualityPolicy = Field(
        QualityPolicy.ACCEPT_DESCRIBED,
        description="Whether the description of a `QualityControl` level names the worst accepted image "
        "(`accept-described`) or the best rejected image (`reject-described`).",
    )


class PlaygroundSettings(Group):
    """The playground page."""

    enabled: bool = Field(False, description="Whether to serve the page `/playground`; `make serve` turns it on.")


class LogSettings(Group):
    """Logging; the log never contains images, keys or URL queries."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest severity to log.")


class MetricsSettings(Group):
    """Prometheus metrics."""

    enabled: bool = Field(
        False, description="Whether to serve `GET /metrics`, without authentication. It shows request rates and errors."
    )


class TracesSettings(Group):
    """OpenTelemetry traces."""

    endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^\s/]+/\S*$",
        description="URL of a collector for OTLP over HTTP, such as `http://collector:4318/v1/traces`; by default no "
        "traces. Needs the extra `otel`.",
    )
