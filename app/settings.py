"""Groups of settings: what can be set, within which bounds, and what it is without being set.

``config`` makes one tree of them; who needs a group is handed it and imports it from here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from app.domain import MatchingStrategy, QualityPolicy

_MIB = 1024 * 1024
_PACK_NAME = r"^[a-z0-9][a-z0-9_-]*$"
_Names = Annotated[tuple[str, ...], NoDecode]


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


class Group(BaseModel):
    """Settings that belong together."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ServerSettings(Group):
    """Where the service listens and how it stops."""

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="TCP port; 0 takes a free one.")
    readiness_delay_s: float = Field(
        1.0,
        ge=0,
        description="Seconds at shutdown in which `/readyz` already says no and requests are still taken, so that "
        "balancers look away first.",
    )
    drain_s: int = Field(30, ge=0, description="Seconds that running requests get to finish at shutdown, after that.")

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class AuthSettings(Group):
    """Who may call."""

    mode: Literal["required", "off"] = Field(
        "required", description="`required` verifies signatures; `off` lets everybody in."
    )
    keys: SecretStr = Field(SecretStr(""), description="Accepted keys, `SecretId:SecretKey`, separated by commas.")
    keys_file: Path | None = Field(
        None,
        description="TOML file of callers, with keys, tokens, rates and rights; read again when it changes.",
    )
    skip: Literal["refuse", "allow"] = Field(
        "refuse",
        description="`allow` lets everybody in who sends `Authorization: SKIP`, the SDKs' option not to sign.",
    )
    v1: Literal["allow", "refuse"] = Field(
        "allow",
        description="`refuse` turns away HmacSHA1 and HmacSHA256, which only old clients need and which bind less.",
    )
    max_skew_s: int = Field(300, ge=1, description="Seconds a request's timestamp may differ from the clock.")
    hosts: _Names = Field(
        (), description="Public host names of the service that clients sign although a proxy changes them."
    )

    _split_hosts = field_validator("hosts", mode="before")(_split)

    @field_validator("keys_file", mode="before")
    @classmethod
    def _none_if_empty(cls, value: object) -> object:
        return value or None

    @field_validator("keys")
    @classmethod
    def _check_keys(cls, value: SecretStr) -> SecretStr:
        _parse_keys(value)
        return value

    @property
    def has_keys(self) -> bool:
        return bool(self.keys_file or self.secret_keys)

    @property
    def secret_keys(self) -> Mapping[str, tuple[str, ...]]:
        """SecretId -> its SecretKeys; an id may have several, so that keys can be rotated."""
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
    """Bounds that keep one request from hurting the others."""

    max_body_bytes: int = Field(
        11 * _MIB, ge=1024, description="Largest request body (two pictures of 5 MB and their JSON)."
    )
    max_v1_body_bytes: int = Field(
        _MIB, ge=1024, description="Largest body of a request signed by HmacSHA1 or HmacSHA256; the vendor's bound."
    )
    max_query_bytes: int = Field(32 * 1024, ge=1024, description="Largest query string of a GET request.")
    max_connections: int = Field(
        1000,
        ge=1,
        description="Open connections; beyond, the one that has waited longest for a request is closed. Fewer where "
        "the system allows fewer open files. At most a quarter of so many, rounded up, stand in line for their turn.",
    )
    header_timeout_s: float = Field(
        10.0,
        gt=0,
        description="Seconds for the head of a request to arrive, from the connection's opening or the last reply.",
    )
    min_body_rate: int = Field(
        32 * 1024,
        ge=1,
        description="Slowest that a body may come in, bytes per second, after five seconds; who is slower is told "
        "RequestTimeout.",
    )
    max_in_flight: int = Field(
        32, ge=1, description="Requests worked on at the same time; each may hold its body in memory."
    )
    max_wait_s: float = Field(
        5.0,
        ge=0,
        description="Seconds a request waits for its turn before it is told RequestLimitExceeded, and with it all who "
        "wait; at most half of `deadline_s`.",
    )
    deadline_s: float = Field(30.0, gt=0, description="Seconds a request may take in all.")


class WireSettings(Group):
    """How strictly requests are read."""

    parameters: Literal["strict", "lenient"] = Field(
        "strict",
        description="`strict` refuses unknown parameters and wrong JSON types, as the vendor does; `lenient` "
        'ignores the former and takes `"1"` for 1.',
    )


class FetchSettings(Group):
    """How pictures named by URL are fetched."""

    allow: _Names = Field(
        (), description="Networks (10.1.0.0/16) or host names that may be reached although they are private."
    )
    timeout_s: float = Field(10.0, gt=0, description="Seconds for one picture, redirects included.")
    max_redirects: int = Field(3, ge=0, description="Redirects followed; each one is vetted anew.")

    _split_allow = field_validator("allow", mode="before")(_split)


class ModelsSettings(Group):
    """Which models compare faces."""

    pack: str = Field(
        "auto",
        pattern=_PACK_NAME,
        description="Name of the model pack; `auto` is `omz` where it is installed, else `open`.",
    )
    weights_dir: Path | None = Field(
        None,
        description="Folder of the weight files; default: `models/` of a checkout, else the user's cache.",
    )
    pack_2_0: str | None = Field(
        None, pattern=_PACK_NAME, description="Another pack for `FaceModelVersion` 2.0; default: the same."
    )
    mirrors: _Names = Field(
        (), description="Addresses of folders, tried in order before a published file's own address; https or http."
    )

    _split_mirrors = field_validator("mirrors", mode="before")(_split)

    @field_validator("mirrors")
    @classmethod
    def _check_mirrors(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(re.fullmatch(r"https?://[^\s/]+(/\S*)?", address) for address in value):
            raise ValueError("a mirror is an address that starts with https:// or http://")
        return value

    @property
    def is_automatic(self) -> bool:
        """Whether the pack is chosen by what is installed."""
        return self.pack == "auto"


class RuntimeSettings(Group):
    """Where the models run."""

    device: Literal["cpu", "cuda", "tensorrt"] = Field(
        "cpu", description="Device of the models, `cpu`, `cuda` or `tensorrt`; never replaced silently."
    )
    threads: int | None = Field(
        None, ge=1, description="CPU threads to use; default: what affinity and the cgroup quota grant."
    )
    int8: bool = Field(
        True, description="Whether a pack's network in 8-bit integers, where it has one, is what runs on the CPU."
    )


class CompareSettings(Group):
    """What CompareFace does where a request is silent."""

    matching_strategy: MatchingStrategy = Field(
        MatchingStrategy.LARGEST,
        description="Face taken from a picture: 1 the largest, 0 the most confident.",
    )


class QualitySettings(Group):
    """How QualityControl is read."""

    policy: QualityPolicy = Field(
        QualityPolicy.ACCEPT_DESCRIBED,
        description="`accept-described`: a level names the worst picture it still accepts; `reject-described`: the "
        "best one it refuses.",
    )


class PlaygroundSettings(Group):
    """The page that shows what the service does."""

    enabled: bool = Field(False, description="Whether `/playground` serves the page; `make serve` turns it on.")


class LogSettings(Group):
    """What is logged; never pictures, keys or URL queries."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severity logged.")


class MetricsSettings(Group):
    """What is counted, for Prometheus."""

    enabled: bool = Field(
        False,
        description="Whether `GET /metrics` is served, to everybody who reaches the port: it tells how much is asked "
        "and what fails.",
    )


class TracesSettings(Group):
    """Where the course of each request is sent, for OpenTelemetry."""

    endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^\s/]+/\S*$",
        description="Address of a collector that takes spans by OTLP over HTTP, `http://collector:4318/v1/traces`; "
        "default: none are made. Needs the extra `otel`.",
    )
