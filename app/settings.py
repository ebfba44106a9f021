"""The groups of settings: names, defaults, limits and descriptions.

``app.environment`` combines them in one tree and reads it from environment variables. A component receives only the
group that it needs. ``deploy/settings_table.py`` prints the descriptions as a table for the documentation.
"""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticKnownError

from app.address import AllowList
from app.domain import MatchingStrategy, Population, QualityPolicy
from app.setting_types import Address, CommaSeparated, Host, Optional, PackName, Url, UrlWithPath, parse_keys

_MIB = 1024 * 1024
_MAX_NUMBER = 2**31 - 1
"""Upper limit of all numbers: the operating system and Python reject larger times and sizes."""
_MAX_PARALLEL = 1024
"""Upper limit of threads and processes."""


class Group(BaseModel):
    """Base class of the groups. The docstring of a field is its description."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        str_strip_whitespace=True,
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **_: object) -> None:
        for field in cls.model_fields.values():
            field.description = " ".join((field.description or "").split())  # joins the lines of a docstring

    @field_validator("*")
    @classmethod
    def _check_size(cls, value: object) -> object:
        if isinstance(value, int | float) and value > _MAX_NUMBER:
            raise PydanticKnownError("less_than_equal", {"le": _MAX_NUMBER})
        return value


class ServerSettings(Group):
    """Address and shutdown of the server."""

    host: Address = Field("127.0.0.1", min_length=1)
    """Address to listen on."""
    port: int = Field(8000, ge=0, le=65535)
    """TCP port; 0 selects a free port."""
    workers: Optional[int] = Field(None, ge=1, le=_MAX_PARALLEL)
    """Server processes behind the port; by default one per four cores, and one with a GPU. They divide the limits of
    connections and requests and the CPU threads among them."""
    health_port: Optional[int] = Field(None, ge=1, le=65535)
    """Second TCP port, always plain http, for `/healthz`, `/readyz` and, if enabled, `/metrics`, which then leaves the
    main port; by default none."""
    tls_cert: Optional[Path] = None
    """PEM file with the certificate and its chain. With it, the service speaks https only. The file is reloaded when it
    changes."""
    tls_key: Optional[Path] = None
    """PEM file with the key of the certificate, not encrypted."""
    readiness_delay_s: float = Field(1.0, ge=0)
    """Seconds at shutdown during which `/readyz` returns 503 but requests are still accepted, so that load balancers
    stop sending new ones."""
    drain_s: int = Field(30, ge=0)
    """Seconds after that for running requests to finish."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("COMPAREFACE_SERVER__TLS_CERT and COMPAREFACE_SERVER__TLS_KEY must be set together")
        if self.health_port == self.port:
            raise ValueError("COMPAREFACE_SERVER__HEALTH_PORT and COMPAREFACE_SERVER__PORT must differ")
        return self

    @property
    def is_loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class AuthSettings(Group):
    """Authentication of clients."""

    mode: Literal["required", "off"] = "required"
    """`required` verifies signatures; `off` accepts every request."""
    keys: SecretStr = SecretStr("")
    """Accepted keys as `SecretId:SecretKey`, separated by commas."""
    keys_file: Optional[Path] = None
    """TOML file with callers, their keys, tokens, rate limits and permissions. It is reloaded when it changes."""
    skip: Literal["refuse", "allow"] = "refuse"
    """`allow` accepts unsigned requests with `Authorization: SKIP`, an option of the SDKs."""
    v1: Literal["allow", "refuse"] = "allow"
    """`refuse` rejects the older signatures HmacSHA1 and HmacSHA256, which cover less of a request."""
    max_skew_s: int = Field(300, ge=1)
    """Maximum difference in seconds between a request's timestamp and the server's clock."""
    hosts: CommaSeparated[Host] = ()
    """Public host names of the service, separated by commas, if a proxy changes the host that clients sign."""

    @field_validator("keys")
    @classmethod
    def _check_keys(cls, value: SecretStr) -> SecretStr:
        parse_keys(value)
        return value

    @property
    def secret_keys(self) -> Mapping[str, tuple[str, ...]]:
        """SecretKeys by SecretId; an id may have several, so that keys can be rotated."""
        return parse_keys(self.keys)


class LimitsSettings(Group):
    """Limits that keep the service responsive under load."""

    max_body_bytes: int = Field(11 * _MIB, ge=1024)
    """Largest request body: two images of 5 MB and their JSON."""
    max_v1_body_bytes: int = Field(_MIB, ge=1024)
    """Largest body of a request signed by HmacSHA1 or HmacSHA256, as in Tencent Cloud."""
    max_query_bytes: int = Field(32 * 1024, ge=1024)
    """Largest query string of a GET request."""
    max_connections: int = Field(1000, ge=1)
    """Open connections, or fewer if the system allows fewer open files. Beyond that, the longest idle connection is
    closed. At most half as many requests are queued."""
    header_timeout_s: float = Field(10.0, gt=0)
    """Seconds for a TLS handshake, and for the head of a request to arrive after the connection opens, or after the
    first byte of a later request."""
    keep_alive_s: float = Field(620.0, gt=0)
    """Seconds to keep an idle connection open after a response. Choose more than the load balancer's idle timeout."""
    min_body_rate: int = Field(32 * 1024, ge=1)
    """Slowest upload of a body in bytes per second, after the first five seconds. Slower requests fail with
    RequestTimeout."""
    max_in_flight: int = Field(32, ge=1)
    """Requests processed at the same time; each may hold its body in memory."""
    max_wait_s: float = Field(5.0, ge=0)
    """Seconds in the queue after which all queued requests fail with RequestLimitExceeded; capped at half of
    `deadline_s`."""
    deadline_s: float = Field(30.0, gt=0)
    """Seconds for the whole request."""


class WireSettings(Group):
    """Parsing of requests."""

    parameters: Literal["strict", "lenient"] = "strict"
    """`strict` rejects unknown parameters and wrong JSON types, as Tencent Cloud does; `lenient` ignores unknown
    parameters and accepts `"1"` for 1."""


class FetchSettings(Group):
    """Download of images by URL."""

    allow: CommaSeparated[str] = ()
    """Private networks (10.1.0.0/16) or host names from which images may be fetched, separated by commas."""
    timeout_s: float = Field(10.0, gt=0)
    """Seconds to fetch one image, including redirects."""
    max_redirects: int = Field(3, ge=0)
    """Redirects to follow; the target of each one is checked."""

    @field_validator("allow")
    @classmethod
    def _check_allow(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        AllowList.parse(value)
        return value


class ModelsSettings(Group):
    """Model packs and their files."""

    pack: PackName = "auto"
    """Model pack; `auto` selects `omz` if it is installed, else `open`."""
    weights_dir: Optional[Path] = None
    """Folder for weight files; by default `models/` in a checkout, else the user's cache."""
    pack_2_0: Optional[PackName] = None
    """Pack for `FaceModelVersion` 2.0; by default the same pack."""
    require_fit: bool = False
    """Whether to refuse packs that are unfit for decisions about people: `open`, and those whose calibration is
    provisional or, at 40, 50 or 60, extrapolated (population `general`)."""
    mirrors: CommaSeparated[Url] = ()
    """http(s) URLs of folders with weight files, separated by commas, tried before the original URL of a file."""

    @property
    def is_automatic(self) -> bool:
        """Whether the installed files determine the pack."""
        return self.pack == "auto"


class RuntimeSettings(Group):
    """Inference."""

    device: Literal["cpu", "cuda", "tensorrt"] = "cpu"
    """Device for the models: `cpu`, `cuda` or `tensorrt`. The service does not start without it."""
    threads: Optional[int] = Field(None, ge=1, le=_MAX_PARALLEL)
    """CPU threads; by default the cores that the CPU affinity and the cgroup quota allow."""
    int8: bool = True
    """Whether to run a pack's int8 model on the CPU, if it has one."""


class CompareSettings(Group):
    """Defaults of CompareFace."""

    matching_strategy: MatchingStrategy = MatchingStrategy.LARGEST
    """Default of `FaceMatchingStrategy`: 1 compares the largest face of an image, 0 the most confident."""
    population: Population = Population.GENERAL
    """Impostors for which the false-accept rates hold: `general` any two people, `matched` similar people. A key may
    select another one."""


class QualitySettings(Group):
    """Quality control."""

    policy: QualityPolicy = QualityPolicy.ACCEPT_DESCRIBED
    """Which grades a `QualityControl` level accepts. The vendor describes the face quality of each level; a face's
    grade is the level whose description it fits. `accept-described`: level N accepts grades from N. `reject-described`:
    level N accepts grades above N; level 4 accepts grade 4. Both: level 0 accepts every image."""


class PlaygroundSettings(Group):
    """The playground page."""

    enabled: bool = False
    """Whether to serve the page `/playground`; `make serve` turns it on."""


class LogSettings(Group):
    """Logging; the log never contains images, keys or URL queries."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest severity to log."""


class MetricsSettings(Group):
    """Prometheus metrics."""

    enabled: bool = False
    """Whether to serve `GET /metrics`, without authentication. It shows request rates and errors."""


class TracesSettings(Group):
    """OpenTelemetry traces."""

    endpoint: Optional[UrlWithPath] = None
    """URL of a collector for OTLP over HTTP, such as `http://collector:4318/v1/traces`; by default no traces. Needs the
    extra `otel`."""
