"""The gateway's other doors: signature version 1, forms, multipart; what a caller may; how strictly one reads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from app.domain import CompareOptions, Comparison, FaceModelVersion, ImageRef
from app.environment import Settings
from app.ops.stage_timer import StageTimer
from app.settings import AuthSettings, LimitsSettings, WireSettings
from tests.support.fakes import (
    CLOSED,
    COMMON,
    KEYS_FILE,
    OPEN,
    FakeEngine,
    FakeService,
    authorization,
    client_of,
    code_of,
    response_of,
    v1_parameters,
)

_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_SIDES = {"UrlA": "http://a/中 1.jpg", "ImageB": "aGVs+bG8/"}
_V1_TOO_LARGE = (
    "The provided credentials could not be validated because of exceeding request size limit, "
    "please use new signature method `TC3-HMAC-SHA256`."
)


@pytest.fixture
def known(tmp_path: Path) -> Settings:
    """Settings with the callers of ``KEYS_FILE``."""
    file = tmp_path / "keys.toml"
    file.write_text(KEYS_FILE)
    return Settings(auth=AuthSettings(keys_file=file))


def _now(**parameters: str) -> dict[str, str]:
    return {"Timestamp": str(int(time.time())), **parameters}


async def _post_v1(client: httpx.AsyncClient, **parameters: str) -> httpx.Response:
    return await client.post("/", content=urlencode(v1_parameters(**_now(**parameters))), headers=_FORM)


async def _get_v1(client: httpx.AsyncClient, **parameters: str) -> httpx.Response:
    return await client.get("/?" + urlencode(v1_parameters("GET", **_now(**parameters))))


@pytest.mark.parametrize("signature_method", ["HmacSHA1", "HmacSHA256"])
@pytest.mark.parametrize("send", [_post_v1, _get_v1])
async def test_the_older_dialect_is_served(send: Any, signature_method: str) -> None:
    engine = FakeEngine()
    async with client_of(CLOSED, engine) as client:
        reply = await send(
            client,
            **_SIDES,
            SignatureMethod=signature_method,
            FaceModelVersion="2.0",
            NeedRotateDetection="1",
            FaceMatchingStrategy="0",
            Region="",
            Language="zh-CN",
            RequestClient="SDK",
        )
    assert response_of(reply)["FaceModelVersion"] == "2.0"
    ((a, b, options),) = engine.service.calls
    assert (a, b) == (ImageRef(url=_SIDES["UrlA"]), ImageRef(base64=_SIDES["ImageB"]))
    assert (options.face_model_version, options.rotate, options.matching_strategy) == ("2.0", True, 0)


@pytest.mark.parametrize("send", [_post_v1, _get_v1])
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"without": "Action"}, "MissingParameter"),
        ({"without": "Version"}, "MissingParameter"),
        ({"without": "SecretId"}, "MissingParameter"),
        ({"Version": "2019-01-01"}, "NoSuchVersion"),
        ({"Action": "Nothing"}, "InvalidAction"),
        ({"secret_key": "wrong"}, "AuthFailure.SignatureFailure"),
        ({"Foo": "1"}, "UnknownParameter"),
        ({"QualityControl": "one"}, "InvalidParameter"),
        ({"QualityControl": "9"}, "InvalidParameterValue.QualityControlIllegal"),
        ({"UrlA": ""}, "InvalidParameterValue.ImageEmpty"),
    ],
)
async def test_errors_of_the_older_dialect_are_the_same(send: Any, changes: dict[str, str], code: str) -> None:
    async with client_of(CLOSED) as client:
        assert code_of(await send(client, **(_SIDES | changes))) == code


@pytest.mark.parametrize("send", [_post_v1, _get_v1])
@pytest.mark.parametrize(("language", "message"), [("zh-CN", "接口不存在。"), ("en-US", "The request `Action`")])
async def test_the_older_dialect_names_its_language(send: Any, language: str, message: str) -> None:
    async with client_of(CLOSED) as client:
        response = response_of(await send(client, Action="Nothing", Language=language))
    assert response["Error"]["Message"].startswith(message)


async def test_trace_id_is_echoed_in_the_older_dialect_too() -> None:
    async with client_of(OPEN) as client:
        reply = await client.post("/", content="Action=x", headers={**_FORM, "X-TC-TraceId": "t-1"})
    assert reply.headers["x-tc-traceid"] == "t-1"


async def test_bodies_of_the_older_dialect_are_smaller_and_the_vendors_text_says_what_to_do() -> None:
    settings = CLOSED.model_copy(update={"limits": LimitsSettings(max_v1_body_bytes=2048)})
    async with client_of(settings) as client:
        response = response_of(await _post_v1(client, **_SIDES, ImageA="x" * 2048))
        assert response["Error"] == {"Code": "AuthFailure.SignatureFailure", "Message": _V1_TOO_LARGE}
        assert code_of(await client.post("/", content=_endless(), headers=_FORM)) == "AuthFailure.SignatureFailure"
        assert code_of(await _post_v1(client, **_SIDES, ImageA="x" * 1024)) == "OK"


async def _endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 1024


@pytest.mark.parametrize("send", [_post_v1, _get_v1])
async def test_queries_of_both_dialects_have_one_bound(send: Any) -> None:
    settings = CLOSED.model_copy(update={"limits": LimitsSettings(max_query_bytes=1024)})
    async with client_of(settings) as client:
        code = code_of(await send(client, **_SIDES, ImageA="x" * 1024))
    assert code == ("OK" if send is _post_v1 else "RequestSizeLimitExceeded")


async def test_forms_that_are_slow_to_come_hold_up_forms_only() -> None:
    async def stalled() -> AsyncIterator[bytes]:
        yield b"Action=CompareFace"
        await asyncio.Event().wait()

    limits = LimitsSettings(max_in_flight=1, max_wait_s=0.05, deadline_s=2)
    async with client_of(OPEN.model_copy(update={"limits": limits})) as client:
        slow = asyncio.create_task(client.post("/", content=stalled(), headers=_FORM))
        await asyncio.sleep(0.1)
        assert code_of(await client.post("/", json=_SIDES, headers=COMMON)) == "OK"
        assert code_of(await client.post("/", content="Action=x", headers=_FORM)) == "RequestLimitExceeded"
        assert code_of(await slow) == "FailedOperation.RequestTimeout"


async def test_newer_requests_may_carry_forms_and_multipart_bodies() -> None:
    engine, values = FakeEngine(), {**_SIDES, "QualityControl": "0"}
    async with client_of(OPEN, engine) as client:
        for body in ({"data": values}, {"files": {name: (None, value) for name, value in values.items()}}):
            assert code_of(await client.post("/", headers=COMMON, **body)) == "OK"
        reply = await client.post("/", headers={**COMMON, "Content-Type": "multipart/form-data"}, content=b"x")
    assert code_of(reply) == "InvalidRequest"
    assert (
        engine.service.calls
        == [
            (ImageRef(url=_SIDES["UrlA"]), ImageRef(base64=_SIDES["ImageB"]), CompareOptions()),
        ]
        * 2
    )


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


async def test_a_caller_may_be_held_to_a_rate(known: Settings) -> None:
    async with client_of(known) as client:
        replies = [await _signed_by(client, "limited") for _ in range(7)]
        other = await _signed_by(client, "AKIDEXAMPLE")
    codes = [code_of(reply) for reply in replies]
    assert codes[:2] == ["OK", "OK"]
    assert 2 <= codes.count("OK") <= 4  # the second may end in between
    assert set(codes[2:]) >= {"RequestLimitExceeded"}
    message = next(response_of(reply)["Error"]["Message"] for reply in replies if code_of(reply) != "OK")
    assert message.startswith("Your current request times equals to `3` in a second, which exceeds")
    assert code_of(other) == "OK"


async def test_who_does_not_know_the_key_does_not_use_up_the_rate(known: Settings) -> None:
    async with client_of(known) as client:
        for _ in range(5):
            forged = await _signed_by(client, "limited", Authorization=authorization(secret_id="limited"))
            assert code_of(forged).startswith("AuthFailure.")
        assert code_of(await _signed_by(client, "limited")) == "OK"


async def test_a_caller_may_be_kept_from_an_action(known: Settings) -> None:
    async with client_of(known) as client:
        assert code_of(await _signed_by(client, "elsewhere")) == "AuthFailure.UnauthorizedOperation"


async def test_a_caller_has_model_versions(known: Settings) -> None:
    async with client_of(known) as client:
        assert response_of(await _signed_by(client, "limited"))["FaceModelVersion"] == "2.0"
        refused = await _signed_by(client, "limited", ',"FaceModelVersion":"3.0"')
    assert code_of(refused) == "InvalidParameterValue.FaceModelVersionIllegal"


@pytest.mark.parametrize(
    ("members", "strict", "options"),
    [
        ('"Foo":1', "UnknownParameter", CompareOptions()),
        ('"NeedRotateDetection":"1"', "InvalidParameter", CompareOptions(rotate=True)),
        ('"FaceModelVersion":2.0', "InvalidParameter", CompareOptions(FaceModelVersion.V2)),
        ('"NeedRotateDetection":"one"', "InvalidParameter", None),
        ('"NeedRotateDetection":true', "InvalidParameter", None),
        ('"UrlA":["x"]', "InvalidParameter", None),
    ],
)
async def test_one_may_read_leniently(members: str, strict: str, options: CompareOptions | None) -> None:
    body = f'{{"UrlA":"a","UrlB":"b",{members}}}'
    lenient, engine = OPEN.model_copy(update={"wire": WireSettings(parameters="lenient")}), FakeEngine()
    async with client_of(OPEN) as client:
        assert code_of(await client.post("/", content=body, headers=COMMON)) == strict
    async with client_of(lenient, engine) as client:
        code = code_of(await client.post("/", content=body, headers=COMMON))
    assert code == ("OK" if options else "InvalidParameter")
    assert [call[2] for call in engine.service.calls] == ([options] if options else [])


async def test_the_log_tells_which_key_was_used(known: Settings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "app")

    async def judge(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
        return Comparison(1.0, 0.0, options.face_model_version)

    async with client_of(known, FakeEngine(FakeService(judge))) as client:
        await _signed_by(client, "AKIDEXAMPLE")
        await _get_v1(client, **_SIDES, secret_key="SECRETEXAMPLE-OLD")
    lines = [vars(record)["fields"] for record in caplog.records if record.name == "app.api.access_log"]
    assert [(line["secret_id"], line["key"], line["action"]) for line in lines] == [
        ("AKIDEXAMPLE", "new", "CompareFace"),
        ("AKIDEXAMPLE", "old", "CompareFace"),
    ]
