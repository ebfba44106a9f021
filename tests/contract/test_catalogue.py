"""Every error code of the catalogue, each with a request that produces it, over a live server where one can.

``_REQUESTS`` is the table; ``FailedOperation.ServerError`` needs a defect, so it is shown in-process.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, NamedTuple

import cv2
import httpx
import numpy as np
import pytest

from app.domain import Comparison, ImageRef, Options
from app.errors import ErrorCode
from app.ops.deadline import Deadline
from benchmarks.pictures import astronaut, jpeg
from benchmarks.server import Server, running_server
from tests.api.fakes import COMMON, FakeEngine, FakeService, authorization, client_of, code_of


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _drawn(width: int, height: int, suffix: str = ".png") -> str:
    return _base64(cv2.imencode(suffix, np.full((height, width, 3), 127, dtype=np.uint8))[1].tobytes())


_FACE = _base64(jpeg(astronaut()))
_GOOD: dict[str, Any] = {"ImageA": _FACE, "ImageB": _FACE}


class _Case(NamedTuple):
    body: dict[str, Any] | bytes = _GOOD
    headers: Mapping[str, str] = MappingProxyType({})
    method: str = "POST"
    secret_key: str = ""
    secret_id: str = ""
    age_s: int = 0


_REQUESTS: dict[ErrorCode, _Case] = {
    ErrorCode.UNSUPPORTED_PROTOCOL: _Case(method="PUT"),
    ErrorCode.REQUEST_SIZE_LIMIT_EXCEEDED: _Case(b" " * (11 * 2**20 + 1)),
    ErrorCode.MISSING_PARAMETER: _Case(headers={"X-TC-Action": ""}),
    ErrorCode.INVALID_PARAMETER: _Case({**_GOOD, "QualityControl": "1"}),
    ErrorCode.UNKNOWN_PARAMETER: _Case({**_GOOD, "ImageC": _FACE}),
    ErrorCode.INVALID_ACTION: _Case(headers={"X-TC-Action": "CompareCats"}),
    ErrorCode.NO_SUCH_VERSION: _Case(headers={"X-TC-Version": "2019-07-22"}),
    ErrorCode.UNSUPPORTED_OPERATION: _Case({**_GOOD, "QualityControl": 3}),
    ErrorCode.INVALID_AUTHORIZATION: _Case(headers={"Authorization": "Bearer token"}),
    ErrorCode.SECRET_ID_NOT_FOUND: _Case(secret_id="AKIDnobody"),
    ErrorCode.SIGNATURE_EXPIRE: _Case(age_s=301),
    ErrorCode.SIGNATURE_FAILURE: _Case(secret_key="wrong"),
    ErrorCode.PARAMETER_ILLEGAL: _Case({**_GOOD, "NeedRotateDetection": 2}),
    ErrorCode.FACE_MODEL_VERSION_ILLEGAL: _Case({**_GOOD, "FaceModelVersion": "4.0"}),
    ErrorCode.QUALITY_CONTROL_ILLEGAL: _Case({**_GOOD, "QualityControl": 5}),
    ErrorCode.IMAGE_EMPTY: _Case({"ImageA": _FACE}),
    ErrorCode.URL_ILLEGAL: _Case({"UrlA": "ftp://pictures.example/a.jpg", "ImageB": _FACE}),
    ErrorCode.IMAGE_DOWNLOAD_ERROR: _Case({"UrlA": "http://169.254.169.254/latest/meta-data", "ImageB": _FACE}),
    ErrorCode.IMAGE_SIZE_EXCEED: _Case({"ImageA": "A" * (5 * 2**20 + 1), "ImageB": _FACE}),
    ErrorCode.IMAGE_DECODE_FAILED: _Case({"ImageA": _base64(b"GIF89a"), "ImageB": _FACE}),
    ErrorCode.IMAGE_RESOLUTION_EXCEED: _Case({"ImageA": _drawn(2001, 100), "ImageB": _FACE}),
    ErrorCode.IMAGE_RESOLUTION_TOO_SMALL: _Case({"ImageA": _drawn(100, 63), "ImageB": _FACE}),
    ErrorCode.NO_FACE_IN_PHOTO: _Case({"ImageA": _drawn(100, 100), "ImageB": _FACE}),
}


def _send(server: Server, case: _Case) -> httpx.Response:
    body = case.body if isinstance(case.body, bytes) else json.dumps(case.body).encode()
    timestamp = int(time.time()) - case.age_s
    signed = authorization(
        body,
        method=case.method,
        host=server.endpoint,
        timestamp=timestamp,
        secret_id=case.secret_id or server.secret_id,
        secret_key=case.secret_key or server.secret_key,
    )
    headers = {
        **COMMON,
        "Content-Type": "application/json",
        "X-TC-Timestamp": str(timestamp),
        "Authorization": signed,
        **case.headers,
    }
    url = f"http://{server.endpoint}/"
    return httpx.request(case.method, url, content=body, headers=headers, timeout=30, trust_env=False)


@pytest.mark.parametrize("code", list(_REQUESTS))
def test_code_is_answered_to_its_request(live: Server, code: ErrorCode) -> None:
    reply = _send(live, _REQUESTS[code])
    assert code_of(reply) == code.value


def test_the_request_all_others_are_made_from_succeeds(live: Server) -> None:
    assert code_of(_send(live, _Case())) == "OK"


@pytest.fixture(scope="module")
def impatient() -> Iterator[Server]:
    """Takes one request at a time, for two seconds."""
    limits = {"MAX_IN_FLIGHT": "1", "MAX_WAIT_S": "0.1", "DEADLINE_S": "2"}
    settings = {f"COMPAREFACE_LIMITS__{name}": value for name, value in limits.items()}
    with running_server({"COMPAREFACE_FETCH__ALLOW": "127.0.0.1", **settings}) as server:
        yield server


def test_one_request_too_many_and_one_too_slow_are_told_so(impatient: Server, pictures: str) -> None:
    stalled = _Case({"UrlA": f"{pictures}/stall", "ImageB": _FACE})
    with ThreadPoolExecutor(2) as pool:
        codes = sorted(code_of(reply) for reply in pool.map(lambda _: _send(impatient, stalled), range(2)))
    assert codes == [ErrorCode.REQUEST_TIMEOUT.value, ErrorCode.REQUEST_LIMIT_EXCEEDED.value]
    assert code_of(_send(impatient, _Case())) == "OK"


async def _crash(a: ImageRef, b: ImageRef, options: Options, deadline: Deadline) -> Comparison:
    raise RuntimeError("a defect")


async def test_a_defect_is_a_server_error() -> None:
    async with client_of(engine=FakeEngine(FakeService(_crash))) as client:
        assert code_of(await client.post("/", json=_GOOD, headers=COMMON)) == ErrorCode.SERVER_ERROR.value


def test_no_code_is_left_out() -> None:
    elsewhere = {ErrorCode.REQUEST_LIMIT_EXCEEDED, ErrorCode.REQUEST_TIMEOUT, ErrorCode.SERVER_ERROR}
    assert set(_REQUESTS) | elsewhere == set(ErrorCode)
