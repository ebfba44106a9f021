"""Every code of the gateway, reached by a request; the envelope; what is logged."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from app.api.actions.base import RequestModel, bind
from app.domain import CompareOptions, Comparison, FaceModelVersion, ImageRef
from app.errors import ApiError, ErrorCode
from app.ops.stage_timer import StageTimer
from tests.support.fakes import (
    CLOSED,
    COMMON,
    OPEN,
    FakeEngine,
    FakeService,
    authorization,
    client_of,
    code_of,
    limited,
    response_of,
)

_BODY = b'{"UrlA":"http://a/1.jpg","UrlB":"http://a/2.jpg"}'


async def _signed(
    client: httpx.AsyncClient, body: bytes = _BODY, headers: dict[str, str] | None = None
) -> httpx.Response:
    now = int(time.time())
    sent = {
        "Content-Type": "application/json",
        "X-TC-Timestamp": str(now),
        "Authorization": authorization(body, timestamp=now),
        **COMMON,
        **(headers or {}),
    }
    return await client.post("/", content=body, headers={name: value for name, value in sent.items() if value})


async def test_success_is_the_vendors_envelope() -> None:
    async with client_of() as client:
        reply = await client.post("/", content=_BODY, headers=COMMON)
    response = response_of(reply)
    assert list(response) == ["Score", "FaceModelVersion", "RequestId"]
    assert response["Score"] == 87.5
    assert response["FaceModelVersion"] == "3.0"
    assert uuid.UUID(response["RequestId"]).version == 4
    assert b" " not in reply.content
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cache-control"] == "no-store"
    assert "x-tc-traceid" not in reply.headers


async def test_error_is_the_vendors_envelope() -> None:
    async with client_of() as client:
        response = response_of(await client.post("/"))
    assert list(response) == ["Error", "RequestId"]
    assert response["Error"] == {
        "Code": "MissingParameter",
        "Message": "The request is missing a required parameter `Action`.",
    }


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "OK"),
        ({"X-TC-Action": "compareFace"}, "OK"),
        ({"X-TC-Version": "2018-03-01"}, "OK"),
        ({"X-TC-Region": "nowhere"}, "OK"),
        ({"X-TC-Token": "x"}, "AuthFailure.TokenFailure"),
        ({"Content-Encoding": "identity"}, "OK"),
        ({"X-TC-Action": ""}, "MissingParameter"),
        ({"X-TC-Version": ""}, "MissingParameter"),
        ({"X-TC-Timestamp": ""}, "MissingParameter"),
        ({"Authorization": ""}, "MissingParameter"),
        ({"X-TC-Version": "2019-07-22"}, "NoSuchVersion"),
        ({"X-TC-Version": "2019-07-22", "X-TC-Action": "Nothing"}, "NoSuchVersion"),
        ({"X-TC-Action": "Nothing"}, "InvalidAction"),
        ({"X-TC-Action": "comparefACE"}, "InvalidAction"),
        ({"X-TC-Action": "COMPAREFACE"}, "InvalidAction"),
        ({"X-TC-Action": "Nothing", "Authorization": "SKIP"}, "InvalidAction"),
        ({"X-TC-Timestamp": "x"}, "InvalidParameter"),
        ({"Content-Encoding": "gzip"}, "InvalidParameter"),
        ({"Authorization": "SKIP"}, "AuthFailure.InvalidAuthorization"),
        (
            {"Authorization": authorization(secret_id="nobody", timestamp=1), "X-TC-Timestamp": "1"},
            "AuthFailure.SecretIdNotFound",
        ),
        (
            {"Authorization": authorization(_BODY, timestamp=1), "X-TC-Timestamp": "1"},
            "AuthFailure.SignatureExpire",
        ),
        ({"Content-Type": "text/plain"}, "AuthFailure.SignatureFailure"),
    ],
)
async def test_common_parameters_are_judged(headers: dict[str, str], code: str) -> None:
    async with client_of(CLOSED) as client:
        assert code_of(await _signed(client, headers=headers)) == code


async def test_signature_is_judged_before_parameters() -> None:
    async with client_of(CLOSED) as client:
        bad = authorization(b"[]", secret_key="wrong", timestamp=int(time.time()))
        assert code_of(await _signed(client, b"[]", {"Authorization": bad})) == "AuthFailure.SignatureFailure"
        assert code_of(await _signed(client, b"[]")) == "InvalidParameter"


async def test_version_is_named_in_the_refusal_but_not_at_any_length() -> None:
    async with client_of() as client:
        reply = await client.post("/", headers={**COMMON, "X-TC-Version": "x" * 1000})
    message = response_of(reply)["Error"]["Message"]
    assert message == f"The specified api version=`{'x' * 64}` does not exist in service=`iai`."


@pytest.mark.parametrize(
    ("language", "message"),
    [
        ("zh-CN", "接口不存在。"),
        ("en-US", "The request `Action` is invalid or not found."),
        ("", "The request `Action` is invalid or not found."),
        ("fr", "The request `Action` is invalid or not found."),
    ],
)
async def test_language_is_the_callers(language: str, message: str) -> None:
    async with client_of() as client:
        reply = await client.post("/", headers={**COMMON, "X-TC-Action": "Nothing", "X-TC-Language": language})
    assert response_of(reply)["Error"]["Message"] == message


@pytest.mark.parametrize(
    ("sent", "echoed"),
    [
        (b"e43019a5-ceb1-4281", "e43019a5-ceb1-4281"),
        (b"x" * 128, "x" * 128),
        (b"x" * 129, None),
        (b"a b", None),
        (b"\xe4", None),
        (b"", None),
    ],
)
async def test_trace_id_is_echoed_if_it_is_fit_to_be(sent: bytes, echoed: str | None) -> None:
    async with client_of() as client:
        reply = await client.post("/", headers=[(b"X-TC-TraceId", sent)])
    assert reply.headers.get("x-tc-traceid") == echoed
    assert code_of(reply) == "MissingParameter"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"])
async def test_other_methods_are_told_so(method: str) -> None:
    async with client_of() as client:
        reply = await client.request(method, "/", headers=COMMON)
    assert code_of(reply) == "UnsupportedProtocol"


async def test_head_has_the_headers_of_an_envelope() -> None:
    async with client_of() as client:
        reply = await client.head("/", headers=COMMON)
    assert (reply.status_code, reply.headers["content-type"], reply.content) == (200, "application/json", b"")


@pytest.mark.parametrize("path", ["/", "/?", "/foo/bar", "/docs", "/openapi.json", "/healthz/", "/%0a", "/..%2f"])
async def test_every_path_is_the_gateway(path: str) -> None:
    async with client_of() as client:
        assert code_of(await client.post(path, content=_BODY, headers=COMMON)) == "OK"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/version"])
async def test_post_to_an_operators_address_is_the_gateway(path: str) -> None:
    async with client_of() as client:
        assert code_of(await client.post(path, content=_BODY, headers=COMMON)) == "OK"


async def test_get_has_its_parameters_in_the_query() -> None:
    engine = FakeEngine()
    async with client_of(OPEN, engine) as client:
        reply = await client.get(
            "/?UrlA=http%3A%2F%2Fa%2F%E4%B8%AD+1&ImageB=a%2Bb&NeedRotateDetection=1", headers=COMMON
        )
    assert code_of(reply) == "OK"
    assert engine.service.calls == [
        (ImageRef(url="http://a/中 1"), ImageRef(base64="a+b"), CompareOptions(rotate=True)),
    ]


async def _chunks(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b" " * 1024


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (lambda: b" " * 4097, "RequestSizeLimitExceeded"),
        (lambda: _chunks(5), "RequestSizeLimitExceeded"),
        (lambda: _BODY + b" " * (4096 - len(_BODY)), "OK"),
    ],
)
async def test_body_is_bounded_while_it_comes_in(content: Callable[[], Any], code: str) -> None:
    async with client_of(limited(max_body_bytes=4096)) as client:
        assert code_of(await client.post("/", content=content(), headers=COMMON)) == code


async def test_body_that_is_declared_too_long_is_not_read() -> None:
    async with client_of(limited(max_body_bytes=1024)) as client:
        reply = await client.post("/", content=_unread(), headers={**COMMON, "Content-Length": "1025"})
    assert code_of(reply) == "RequestSizeLimitExceeded"


async def _unread() -> AsyncIterator[bytes]:
    raise AssertionError("the body was read")
    yield b""


@pytest.mark.parametrize(("length", "code"), [(1024, "UnknownParameter"), (1025, "RequestSizeLimitExceeded")])
async def test_query_is_bounded(length: int, code: str) -> None:
    async with client_of(limited(max_query_bytes=1024)) as client:
        reply = await client.get("/?" + "x=" + "y" * (length - 2), headers=COMMON)
    assert code_of(reply) == code


@pytest.mark.parametrize("max_wait_s", [0, 0.05])
async def test_one_request_too_many_is_told_so_and_the_place_comes_back(max_wait_s: float) -> None:
    release = asyncio.Event()
    entered = asyncio.Event()

    async def wait(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
        entered.set()
        await release.wait()
        return Comparison(1.0, 0.0, FaceModelVersion.V3)

    async with client_of(limited(max_in_flight=1, max_wait_s=max_wait_s), FakeEngine(FakeService(wait))) as client:
        first = asyncio.create_task(client.post("/", content=_BODY, headers=COMMON))
        await entered.wait()
        assert code_of(await client.post("/", content=_BODY, headers=COMMON)) == "RequestLimitExceeded"
        release.set()
        assert code_of(await first) == "OK"
        assert code_of(await client.post("/", content=_BODY, headers=COMMON)) == "OK"


async def test_a_place_that_comes_free_in_time_is_taken() -> None:
    async def work(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
        await asyncio.sleep(0.2)
        return Comparison(1.0, 0.0, FaceModelVersion.V3)

    async with client_of(limited(max_in_flight=1, max_wait_s=10), FakeEngine(FakeService(work))) as client:
        replies = await asyncio.gather(*(client.post("/", content=_BODY, headers=COMMON) for _ in range(2)))
    assert [code_of(reply) for reply in replies] == ["OK", "OK"]


async def test_the_wait_ends_before_the_deadline_does() -> None:
    settings = limited(max_in_flight=1, max_wait_s=10, deadline_s=0.4)
    async with client_of(settings, FakeEngine(FakeService(_forever))) as client:
        replies = await asyncio.gather(*(client.post("/", content=_BODY, headers=COMMON) for _ in range(2)))
    assert {code_of(reply) for reply in replies} == {"FailedOperation.RequestTimeout", "RequestLimitExceeded"}


@pytest.mark.parametrize(
    ("body", "kind", "is_beside"),
    [
        pytest.param(_BODY, "application/json", False, id="little JSON takes no time"),
        pytest.param(_BODY + b" " * 2**19, "application/json", True, id="much JSON"),
        pytest.param(b"UrlA=a&UrlB=b", "application/x-www-form-urlencoded", True, id="a form, which may be costly"),
        pytest.param(
            b'--b\r\nContent-Disposition: form-data; name="UrlA"\r\n\r\na\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
            True,
            id="multipart, which may be costly",
        ),
    ],
)
async def test_hashing_and_parsing_leave_the_event_loop_free(
    monkeypatch: pytest.MonkeyPatch, body: bytes, kind: str, is_beside: bool
) -> None:
    seen = []

    def spy(model: type[RequestModel], values: Mapping[str, object], **how: bool) -> RequestModel:
        seen.append(threading.current_thread())
        return bind(model, values, **how)

    monkeypatch.setattr("app.api.gateway.bind", spy)
    async with client_of() as client:
        await client.post("/", content=body, headers={**COMMON, "Content-Type": kind})
    assert [thread is not threading.main_thread() for thread in seen] == [is_beside]


async def test_signatures_are_verified_at_once_but_those_of_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def spy(*_: object) -> None:
        seen.append(threading.current_thread() is threading.main_thread())

    monkeypatch.setattr("app.api.auth.authenticator.Authenticator.verify", spy)
    form = urlencode({"Action": "CompareFace", "Version": "2020-03-03", "UrlA": "a", "UrlB": "b"})
    async with client_of() as client:
        await client.post("/", content=_BODY + b" " * 2**19, headers=COMMON)
        await client.post("/", content=form, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert seen == [True, False]


async def test_with_one_connection_somebody_may_still_stand_in_line() -> None:
    async def work(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
        await asyncio.sleep(0.1)
        return Comparison(1.0, 0.0, FaceModelVersion.V3)

    settings = limited(max_in_flight=1, max_wait_s=10, max_connections=1)
    async with client_of(settings, FakeEngine(FakeService(work))) as client:
        replies = await asyncio.gather(*(client.post("/", content=_BODY, headers=COMMON) for _ in range(2)))
    assert [code_of(reply) for reply in replies] == ["OK", "OK"]


async def test_a_burst_beyond_the_places_is_served_in_turn() -> None:
    at_work = 0

    async def work(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
        nonlocal at_work
        at_work += 1
        assert at_work <= 2
        await asyncio.sleep(0)
        at_work -= 1
        return Comparison(1.0, 0.0, FaceModelVersion.V3)

    async with client_of(limited(max_in_flight=2), FakeEngine(FakeService(work))) as client:
        replies = await asyncio.gather(*(client.post("/", content=_BODY, headers=COMMON) for _ in range(12)))
    assert [code_of(reply) for reply in replies] == ["OK"] * 12


async def _forever(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
    await asyncio.Event().wait()
    raise AssertionError


async def test_stage_that_forgets_the_deadline_is_ended() -> None:
    async with client_of(limited(deadline_s=0.01), FakeEngine(FakeService(_forever))) as client:
        assert code_of(await client.post("/", content=_BODY, headers=COMMON)) == "FailedOperation.RequestTimeout"


async def _stalled() -> AsyncIterator[bytes]:
    yield b"{"
    await asyncio.Event().wait()


async def test_caller_who_stops_sending_is_ended() -> None:
    async with client_of(limited(deadline_s=0.01)) as client:
        assert code_of(await client.post("/", content=_stalled(), headers=COMMON)) == "FailedOperation.RequestTimeout"


async def _crash(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
    raise RuntimeError("/secret/path 10.0.0.1")


async def _no_number(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
    return Comparison(float("nan"), 0.0, FaceModelVersion.V3)


@pytest.mark.parametrize("behaviour", [_crash, _no_number])
async def test_unexpected_error_leaks_nothing_and_is_logged(behaviour: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with client_of(OPEN, FakeEngine(FakeService(behaviour))) as client:
        reply = await client.post("/", content=_BODY, headers=COMMON)
    response = response_of(reply)
    assert response["Error"] == {
        "Code": "FailedOperation.ServerError",
        "Message": ErrorCode.SERVER_ERROR.text.en,
    }
    record = next(record for record in caplog.records if record.levelno == logging.ERROR)
    assert record.getMessage() == "unexpected error"
    assert record.exc_info is not None


async def test_each_request_is_one_log_line_without_its_contents(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "app")
    async with client_of(CLOSED) as client:
        response = response_of(await _signed(client))
    (record,) = [record for record in caplog.records if record.name == "app.api.access_log"]
    fields: dict[str, object] = vars(record)["fields"]
    assert fields["request_id"] == response["RequestId"]
    assert (fields["action"], fields["code"]) == ("CompareFace", "OK")
    assert isinstance(fields["milliseconds"], float)
    assert not re.search(r"http|SECRETEXAMPLE|Signature", json.dumps(fields))


async def test_the_reason_of_a_failure_is_for_the_log_only(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
        raise ApiError(ErrorCode.IMAGE_DOWNLOAD_ERROR, reason="HTTP status 404").with_image("B")

    caplog.set_level(logging.INFO, "app")
    async with client_of(engine=FakeEngine(FakeService(fail))) as client:
        reply = await client.post("/", headers=COMMON, json={})
    assert code_of(reply) == ErrorCode.IMAGE_DOWNLOAD_ERROR.value
    assert "HTTP status" not in reply.text
    (record,) = [record for record in caplog.records if record.name == "app.api.access_log"]
    assert vars(record)["fields"]["reason"] == "HTTP status 404"
