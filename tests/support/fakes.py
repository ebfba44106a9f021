"""A fake engine, signed requests, and an in-process client of the application."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from app.api.auth import tc3, v1
from app.domain import (
    Box,
    CompareOptions,
    Comparison,
    DetectedFace,
    DetectionResult,
    DetectOptions,
    ImageRef,
    Population,
)
from app.environment import Settings
from app.errors import ApiError, ErrorCode
from app.ops.metrics import Metrics
from app.ops.stage_timer import StageTimer
from app.service.services import CalibrationInfo, EngineInfo, PopulationInfo, Services
from app.settings import AuthSettings, LimitsSettings
from app.tools.self_test import in_process_client

SECRET_ID, SECRET_KEY = "AKIDEXAMPLE", "SECRETEXAMPLE"
NOW = 1_700_000_000
COMMON = {"X-TC-Action": "CompareFace", "X-TC-Version": "2020-03-03"}
OPEN = Settings(auth=AuthSettings(mode="off"))
"""Settings without authentication."""
KEYS_FILE = f"""
[callers.{SECRET_ID}]
keys = [{{ label = "new", secret_key = "{SECRET_KEY}" }}, {{ label = "old", secret_key = "{SECRET_KEY}-OLD" }}]

[callers.temporary]
keys = [
    {{ label = "sts", secret_key = "{SECRET_KEY}", token = "TOKEN" }},
    {{ label = "past", secret_key = "PAST", token = "TOKEN", expires = 2020-01-01T00:00:00Z }},
]

[callers.limited]
keys = [{{ label = "only", secret_key = "{SECRET_KEY}" }}]
requests_per_second = 2
face_model_versions = ["2.0"]
default_face_model_version = "2.0"
population = "matched"

[callers.elsewhere]
keys = [{{ label = "only", secret_key = "{SECRET_KEY}" }}]
actions = ["DetectFace"]
"""
CLOSED = Settings(auth=AuthSettings.model_validate({"keys": f"{SECRET_ID}:{SECRET_KEY}"}))
"""Settings that require a signature with ``SECRET_KEY``."""

Behaviour = Callable[[ImageRef, ImageRef, CompareOptions, StageTimer], Awaitable[Comparison]]


async def broken_comparison(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
    """Fail like a defect of the service."""
    raise ApiError(ErrorCode.SERVER_ERROR)


async def fixed_comparison(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
    """Return a score of 87.5 for any two images; raise ``ImageEmpty`` if one is missing."""
    for name, ref in (("A", a), ("B", b)):
        if ref.is_empty:
            raise ApiError(ErrorCode.IMAGE_EMPTY, image=name)
    population = options.population or Population.GENERAL
    timer.details["population"] = population.value
    return Comparison(87.5, 0.6, options.face_model_version, population)


LANDMARKS = np.array([[11.4, 60.6], [61.2, 61.4], [40, 88], [-0.6, 110], [60, 111]], np.float32)
DETECTION_RESULT = DetectionResult(640, 480, (DetectedFace(Box(-10.6, 20.2, 89.4, 140.0), LANDMARKS, None, None),))


@dataclass
class FakeService:
    """Records its calls. ``behaviour`` implements ``compare``; ``detect`` returns ``detection``."""

    behaviour: Behaviour = fixed_comparison
    calls: list[tuple[ImageRef, ImageRef, CompareOptions]] = field(default_factory=list)
    detection: DetectionResult = DETECTION_RESULT
    detect_calls: list[tuple[ImageRef, DetectOptions]] = field(default_factory=list)

    async def compare(self, a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
        self.calls.append((a, b, options))
        return await self.behaviour(a, b, options, timer)

    async def detect(self, image: ImageRef, options: DetectOptions, timer: StageTimer) -> DetectionResult:
        self.detect_calls.append((image, options))
        if image.is_empty:
            raise ApiError(ErrorCode.IMAGE_EMPTY)
        return self.detection


_TABLE = PopulationInfo("measured", "random", people=9, impostor_pairs=36, genuine_pairs=9, groups={})
CALIBRATION = CalibrationInfo("measured", "2026-11-22", dict.fromkeys(Population, _TABLE))
INFO = EngineInfo(
    pack="fake",
    pack_is_automatic=False,
    pack_of_version_2_0="fake",
    device="cpu",
    provider="CPUExecutionProvider",
    networks={},
    worker_threads=2,
    threads_per_model_run=1,
    population=Population.GENERAL,
    calibration={"fake": CALIBRATION},
    calibration_notes=[],
    unfit={},
)


@dataclass
class FakeEngine:
    """An engine without models."""

    service: FakeService = field(default_factory=FakeService)
    metrics: Metrics = field(default_factory=Metrics)
    engine_info: EngineInfo = INFO

    @property
    def services(self) -> Services:
        return Services(compare=self.service.compare, detect=self.service.detect)

    @property
    def info(self) -> EngineInfo:
        return self.engine_info

    def is_busy(self, _: int) -> bool:
        return False


def limited(**limits: float) -> Settings:
    """Return settings without authentication and with these limits."""
    return OPEN.model_copy(update={"limits": LimitsSettings.model_validate(limits)})


def client_of(
    settings: Settings = OPEN, engine: FakeEngine | None = None, host: str = "127.0.0.1:8000"
) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    """Start the application and yield a client that calls it without a socket."""
    return in_process_client(settings, engine or FakeEngine(), host)


def response_of(reply: httpx.Response) -> dict[str, Any]:
    """Check the envelope and return the ``Response`` in it."""
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    payload = reply.json()
    assert list(payload) == ["Response"]
    response: dict[str, Any] = payload["Response"]
    return response


def code_of(reply: httpx.Response) -> str:
    """Return the error code of a reply, or "OK"."""
    error = response_of(reply).get("Error")
    return str(error["Code"]) if error else "OK"


def authorization(
    body: bytes = b"",
    *,
    method: str = "POST",
    query: str = "",
    host: str = "127.0.0.1:8000",
    content_type: str = "application/json",
    timestamp: int = NOW,
    service: str = "iai",
    secret_id: str = SECRET_ID,
    secret_key: str = SECRET_KEY,
    extra: Mapping[str, str] | None = None,
    content_sha256: str = "",
    path: str = "/",
) -> str:
    """Return the Authorization header of a request with signature version 3."""
    headers = {"content-type": content_type, "host": host, **(extra or {})}
    names = tuple(sorted(headers))
    date = tc3.utc_date(timestamp)
    hashed = tc3.hashed_payload(tc3.sha256(body), content_sha256)
    canonical = tc3.canonical_request(method, query, headers, names, hashed, path)
    string = tc3.string_to_sign(str(timestamp), tc3.credential_scope(date, service), canonical)
    signature = tc3.signature(tc3.signing_key(secret_key, date, service), string)
    return tc3.format_authorization(tc3.Authorization(secret_id, date, service, names, signature))


def v1_parameters(
    method: str = "POST",
    *,
    host: str = "127.0.0.1:8000",
    path: str = "/",
    secret_key: str = SECRET_KEY,
    without: str = "",
    **changes: str,
) -> dict[str, str]:
    """Return the parameters of a request with signature version 1, including the signature."""
    parameters = {
        "Action": "CompareFace",
        "Version": "2020-03-03",
        "Timestamp": str(NOW),
        "Nonce": "11886",
        "SecretId": SECRET_ID,
        "SignatureMethod": "HmacSHA256",
        **changes,
    }
    parameters.pop(without, None)
    string = v1.string_to_sign(method, host, path, v1.sorted_query(parameters))
    return parameters | {"Signature": v1.signature(secret_key, string, parameters.get("SignatureMethod", ""))}
