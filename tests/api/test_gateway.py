"""The steps of a request: their order, limits, deadline, permissions, and errors."""

import asyncio
import gc
import logging
import threading
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from app.api.actions.base import RequestModel, bind
from app.domain import CompareOptions, Comparison, FaceModelVersion, ImageRef
from app.environment import Settings
from app.errors import ApiError, ErrorCode
from app.ops.stage_timer import StageTimer
from app.settings import AuthSettings, LimitsSettings
from tests.support.fakes import (
    CLOSED,
    COMMON,
    KEYS_FILE,
    OPEN,
    SECRET_KEY,
    FakeEngine,
    FakeService,
    authorization,
    client_of,
    code_of,
    limited,
    response_of,
    v1_parameters,
)

_BODY = b'{"UrlA":"http://a/1.jpg","UrlB":"http://a/2.jpg"}'
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_V1_TOO_LARGE = (
    "The provided credentials could not be validated because of exceeding request size limit, "
    "please use new signature method `TC3-HMAC-SHA256`."
)


async def _compare(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post("/", content=_BODY, headers=COMMON)


async def _block(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
    await asyncio.Event().wait()
    raise AssertionError


def _pause(seconds: float) -> FakeEngine:
    """Return an engine that takes ``seconds`` for each comparison."""

    async def compare(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
        await asyncio.sleep(seconds)
        return Comparison(1.0, 0.0, FaceModelVersion.V3)

    return FakeEngine(FakeService(compare))


async def test_the_signature_is_verified_before_parameters_are_parsed() -> None:
    async def send(client: httpx.AsyncClient, secret_key: str) -> str:
        now, body = int(time.time()), b"[]"
        signed = authorization(body, timestamp=now, secret_key=secret_key)
        headers = {**COMMON, "Content-Type": "application/json", "X-TC-Timestamp": str(now), "Authorization": signed}
        return code_of(await client.post("/", content=body, headers=headers))

    async with client_of(CLOSED) as client:
        assert await send(client, "wrong") == "AuthFailure.SignatureFailure"
        assert await send(client, SECRET_KEY) == "InvalidParameter"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"])
async def test_other_methods_are_unsupported(method: str) -> None:
    async with client_of() as client:
        reply = await client.request(method, "/", headers=COMMON)
    assert code_of(reply) == "UnsupportedProtocol"


async def test_a_get_has_its_parameters_in_the_query() -> None:
    engine = FakeEngine()
    async with client_of(OPEN, engine) as client:
        reply = await client.get(
            "/?UrlA=http%3A%2F%2Fa%2F%E4%B8%AD+1&ImageB=a%2Bb&NeedRotateDetection=1", headers=COMMON
        )
    assert code_of(reply) == "OK"
    assert engine.service.calls == [
        (ImageRef(url="http://a/中 1"), ImageRef(base64="a+b"), CompareOptions(rotate=True)),
    ]


async def test_a_tc3_request_may_have_a_form_or_multipart_body() -> None:
    engine, values = FakeEngine(), {"UrlA": "http://a/中 1.jpg", "ImageB": "aGVs+bG8/", "QualityControl": "0"}
    async with client_of(OPEN, engine) as client:
        for body in ({"data": values}, {"files": {name: (None, value) for name, value in values.items()}}):
            assert code_of(await client.post("/", headers=COMMON, **body)) == "OK"
        reply = await client.post("/", headers={**COMMON, "Content-Type": "multipart/form-data"}, content=b"x")
    assert code_of(reply) == "InvalidRequest"
    call = ImageRef(url=values["UrlA"]), ImageRef(base64=values["ImageB"]), CompareOptions()
    assert engine.service.calls == [call] * 2


@pytest.mark.parametrize(("length", "code"), [(1024, "UnknownParameter"), (1025, "RequestSizeLimitExceeded")])
async def test_the_query_size_is_limited(length: int, code: str) -> None:
    async with client_of(limited(max_query_bytes=1024)) as client:
        reply = await client.get("/?" + "x=" + "y" * (length - 2), headers=COMMON)
    assert code_of(reply) == code


def _v1(method: str, **parameters: str) -> str:
    return urlencode(v1_parameters(method, Timestamp=str(int(time.time())), UrlA="http://a", UrlB="b", **parameters))


@pytest.mark.parametrize(("method", "code"), [("POST", "OK"), ("GET", "RequestSizeLimitExceeded")])
async def test_the_query_limit_holds_for_v1_queries_and_not_for_forms(method: str, code: str) -> None:
    settings = CLOSED.model_copy(update={"limits": LimitsSettings(max_query_bytes=1024)})
    parameters = _v1(method, ImageA="x" * 1024)
    async with client_of(settings) as client:
        if method == "GET":
            reply = await client.get(f"/?{parameters}")
        else:
            reply = await client.post("/", content=parameters, headers=_FORM)
    assert code_of(reply) == code


async def test_v1_forms_have_a_smaller_limit_and_the_vendors_message() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1024

    settings = CLOSED.model_copy(update={"limits": LimitsSettings(max_v1_body_bytes=2048)})
    async with client_of(settings) as client:
        too_large = await client.post("/", content=_v1("POST", ImageA="x" * 2048), headers=_FORM)
        assert response_of(too_large)["Error"] == {"Code": "AuthFailure.SignatureFailure", "Message": _V1_TOO_LARGE}
        assert code_of(await client.post("/", content=endless(), headers=_FORM)) == "AuthFailure.SignatureFailure"
        assert code_of(await client.post("/", content=_v1("POST", ImageA="x" * 1024), headers=_FORM)) == "OK"


async def test_slow_v1_forms_only_delay_other_forms() -> None:
    async def stalled() -> AsyncIterator[bytes]:
        yield b"Action=CompareFace"
        await asyncio.Event().wait()

    async with client_of(limited(max_in_flight=1, max_wait_s=0.05, deadline_s=2)) as client:
        slow = asyncio.create_task(client.post("/", content=stalled(), headers=_FORM))
        await asyncio.sleep(0.1)
        assert code_of(await _compare(client)) == "OK"
        assert code_of(await client.post("/", content="Action=x", headers=_FORM)) == "RequestLimitExceeded"
        assert code_of(await slow) == "FailedOperation.RequestTimeout"


@pytest.mark.parametrize("max_wait_s", [0, 0.05])
async def test_a_request_without_a_slot_is_rejected_and_the_slot_is_used_again(max_wait_s: float) -> None:
    started, release = asyncio.Event(), asyncio.Event()

    async def wait(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
        started.set()
        await release.wait()
        return Comparison(1.0, 0.0, FaceModelVersion.V3)

    async with client_of(limited(max_in_flight=1, max_wait_s=max_wait_s), FakeEngine(FakeService(wait))) as client:
        first = asyncio.create_task(_compare(client))
        await started.wait()
        assert code_of(await _compare(client)) == "RequestLimitExceeded"
        release.set()
        assert code_of(await first) == "OK"
        assert code_of(await _compare(client)) == "OK"


@pytest.mark.parametrize("limits", [{}, {"max_connections": 1}])
async def test_a_queued_request_is_served_when_a_slot_becomes_free(limits: dict[str, float]) -> None:
    async with client_of(limited(max_in_flight=1, max_wait_s=10, **limits), _pause(0.15)) as client:
        replies = await asyncio.gather(_compare(client), _compare(client))
    assert [code_of(reply) for reply in replies] == ["OK", "OK"]


async def test_a_queued_request_is_rejected_before_its_deadline() -> None:
    settings = limited(max_in_flight=1, max_wait_s=10, deadline_s=0.4)
    async with client_of(settings, FakeEngine(FakeService(_block))) as client:
        replies = await asyncio.gather(_compare(client), _compare(client))
    assert {code_of(reply) for reply in replies} == {"FailedOperation.RequestTimeout", "RequestLimitExceeded"}


async def test_a_burst_is_queued_and_served() -> None:
    running = 0

    async def work(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
        nonlocal running
        running += 1
        assert running <= 2
        await asyncio.sleep(0)
        running -= 1
        return Comparison(1.0, 0.0, FaceModelVersion.V3)

    async with client_of(limited(max_in_flight=2), FakeEngine(FakeService(work))) as client:
        replies = await asyncio.gather(*(_compare(client) for _ in range(12)))
    assert [code_of(reply) for reply in replies] == ["OK"] * 12


@pytest.mark.parametrize(
    ("body", "content_type", "is_offloaded"),
    [
        pytest.param(_BODY, "application/json", False, id="small JSON"),
        pytest.param(_BODY.ljust(2**17), "application/json", False, id="128 KiB of JSON"),
        pytest.param(_BODY.ljust(2**17 + 1), "application/json", True, id="more JSON"),
        pytest.param(b"UrlA=a&UrlB=b", "application/x-www-form-urlencoded", True, id="form"),
        pytest.param(
            b'--b\r\nContent-Disposition: form-data; name="UrlA"\r\n\r\na\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
            True,
            id="multipart",
        ),
    ],
)
async def test_parameters_that_may_take_long_to_parse_are_parsed_in_a_thread(
    monkeypatch: pytest.MonkeyPatch, body: bytes, content_type: str, is_offloaded: bool
) -> None:
    threads = []

    def spy(model: type[RequestModel], values: Mapping[str, object], **flags: bool) -> RequestModel:
        threads.append(threading.current_thread())
        return bind(model, values, **flags)

    monkeypatch.setattr("app.api.gateway.bind", spy)
    async with client_of() as client:
        await client.post("/", content=body, headers={**COMMON, "Content-Type": content_type})
    assert [thread is not threading.main_thread() for thread in threads] == [is_offloaded]


async def test_only_v1_signatures_are_verified_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    in_main_thread = []

    def spy(*_: object) -> None:
        in_main_thread.append(threading.current_thread() is threading.main_thread())

    monkeypatch.setattr("app.api.auth.authenticator.Authenticator.verify", spy)
    form = urlencode({"Action": "CompareFace", "Version": "2020-03-03", "UrlA": "a", "UrlB": "b"})
    async with client_of() as client:
        await client.post("/", content=_BODY + b" " * 2**19, headers=COMMON)
        await client.post("/", content=form, headers=_FORM)
    assert in_main_thread == [True, False]


async def test_a_stage_that_ignores_the_deadline_is_cancelled() -> None:
    async with client_of(limited(deadline_s=0.01), FakeEngine(FakeService(_block))) as client:
        assert code_of(await _compare(client)) == "FailedOperation.RequestTimeout"


async def test_a_client_that_stops_sending_gets_a_timeout() -> None:
    async def stalled() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with client_of(limited(deadline_s=0.01)) as client:
        assert code_of(await client.post("/", content=stalled(), headers=COMMON)) == "FailedOperation.RequestTimeout"


async def _crash(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
    raise RuntimeError("/secret/path 10.0.0.1")


async def _nan(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
    return Comparison(float("nan"), 0.0, FaceModelVersion.V3)


@pytest.mark.parametrize("behaviour", [_crash, _nan])
async def test_an_unexpected_error_is_logged_and_its_text_is_not_sent(
    behaviour: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with client_of(OPEN, FakeEngine(FakeService(behaviour))) as client:
        response = response_of(await _compare(client))
    assert response["Error"] == {
        "Code": "FailedOperation.ServerError",
        "Message": ErrorCode.SERVER_ERROR.text.en,
    }
    record = next(record for record in caplog.records if record.levelno == logging.ERROR)
    assert record.getMessage() == "unexpected error"
    assert record.exc_info is not None


@pytest.fixture
def with_key_file(tmp_path: Path) -> Settings:
    """Settings with the callers of ``KEYS_FILE``."""
    file = tmp_path / "keys.toml"
    file.write_text(KEYS_FILE)
    return Settings(auth=AuthSettings(keys_file=file))


async def _signed_by(client: httpx.AsyncClient, secret_id: str, members: str = "", **headers: str) -> httpx.Response:
    now, body = int(time.time()), f'{{"UrlA":"a","UrlB":"b"{members}}}'.encode()
    sent = {
        **COMMON,
        "Content-Type": "application/json",
        "X-TC-Timestamp": str(now),
        "Authorization": authorization(body, timestamp=now, secret_id=secret_id),
        **headers,
    }
    return await client.post("/", content=body, headers=sent)


async def test_a_caller_has_a_rate_limit(with_key_file: Settings) -> None:
    async with client_of(with_key_file) as client:
        replies = [await _signed_by(client, "limited") for _ in range(7)]
        other = await _signed_by(client, "AKIDEXAMPLE")
    codes = [code_of(reply) for reply in replies]
    assert codes[:2] == ["OK", "OK"]
    assert 2 <= codes.count("OK") <= 4  # a second may end between the calls
    assert set(codes[2:]) >= {"RequestLimitExceeded"}
    message = next(response_of(reply)["Error"]["Message"] for reply in replies if code_of(reply) != "OK")
    assert message.startswith("Your current request times equals to `3` in a second, which exceeds")
    assert code_of(other) == "OK"


async def test_requests_with_a_wrong_signature_do_not_use_up_the_rate_limit(with_key_file: Settings) -> None:
    async with client_of(with_key_file) as client:
        for _ in range(5):
            forged = await _signed_by(client, "limited", Authorization=authorization(secret_id="limited"))
            assert code_of(forged).startswith("AuthFailure.")
        assert code_of(await _signed_by(client, "limited")) == "OK"


async def test_a_caller_may_call_only_its_actions(with_key_file: Settings) -> None:
    async with client_of(with_key_file) as client:
        assert code_of(await _signed_by(client, "elsewhere")) == "AuthFailure.UnauthorizedOperation"


async def test_a_caller_has_a_default_model_version_and_may_not_use_others(with_key_file: Settings) -> None:
    async with client_of(with_key_file) as client:
        assert response_of(await _signed_by(client, "limited"))["FaceModelVersion"] == "2.0"
        other = await _signed_by(client, "limited", ',"FaceModelVersion":"3.0"')
    assert code_of(other) == "InvalidParameterValue.FaceModelVersionIllegal"


async def test_the_error_of_a_rejected_request_is_in_no_reference_cycle() -> None:
    """A cycle would keep the body in memory until the next garbage collection."""
    async with client_of() as client:
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            response = await client.post("/", content=b"[]", headers={**COMMON, "Content-Type": "application/json"})
            gc.collect()
            errors = [garbage for garbage in gc.garbage if isinstance(garbage, ApiError)]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    assert code_of(response) == ErrorCode.INVALID_PARAMETER.value
    assert errors == []
