"""Common parameters: from headers in signature version 3, from query or form in version 1."""

import time
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from app.api.request import is_absent
from app.domain import ImageRef
from tests.support.fakes import (
    CLOSED,
    COMMON,
    FakeEngine,
    authorization,
    client_of,
    code_of,
    response_of,
    v1_parameters,
)

_BODY = b'{"UrlA":"http://a/1.jpg","UrlB":"http://a/2.jpg"}'
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_IMAGES = {"UrlA": "http://a/中 1.jpg", "ImageB": "aGVs+bG8/"}


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "OK"),
        ({"X-TC-Action": "compareFace"}, "OK"),
        ({"X-TC-Version": "2018-03-01"}, "OK"),
        ({"X-TC-Region": "nowhere"}, "OK"),
        ({"X-TC-Token": "x"}, "AuthFailure.TokenFailure"),
        ({"X-TC-Token": "undefined", "X-TC-Region": "undefined", "X-TC-Language": "null"}, "OK"),
        ({"X-TC-RequestClient": "None", "X-TC-TraceId": "nil", "X-TC-Content-SHA256": "undefined"}, "OK"),
        ({"Content-Encoding": "identity"}, "OK"),
        ({"X-TC-Action": ""}, "MissingParameter"),
        ({"X-TC-Action": "undefined"}, "MissingParameter"),
        ({"X-TC-Version": "null"}, "MissingParameter"),
        ({"X-TC-Timestamp": "None"}, "MissingParameter"),
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
            {"Authorization": authorization(secret_id="unknown-id", timestamp=1), "X-TC-Timestamp": "1"},
            "AuthFailure.SecretIdNotFound",
        ),
        (
            {"Authorization": authorization(_BODY, timestamp=1), "X-TC-Timestamp": "1"},
            "AuthFailure.SignatureExpire",
        ),
        ({"Content-Type": "text/plain"}, "AuthFailure.SignatureFailure"),
    ],
)
async def test_tc3_headers_are_checked(headers: dict[str, str], code: str) -> None:
    now = int(time.time())
    sent = {
        "Content-Type": "application/json",
        "X-TC-Timestamp": str(now),
        "Authorization": authorization(_BODY, timestamp=now),
        **COMMON,
        **headers,
    }
    async with client_of(CLOSED) as client:
        reply = await client.post("/", content=_BODY, headers={name: value for name, value in sent.items() if value})
    assert code_of(reply) == code


async def _post_v1(client: httpx.AsyncClient, **parameters: str) -> httpx.Response:
    signed = v1_parameters(**{"Timestamp": str(int(time.time())), **parameters})
    return await client.post("/", content=urlencode(signed), headers=_FORM)


async def _get_v1(client: httpx.AsyncClient, **parameters: str) -> httpx.Response:
    signed = v1_parameters("GET", **{"Timestamp": str(int(time.time())), **parameters})
    return await client.get("/?" + urlencode(signed))


@pytest.mark.parametrize("signature_method", ["HmacSHA1", "HmacSHA256"])
@pytest.mark.parametrize("send", [_post_v1, _get_v1])
async def test_v1_requests_are_served(send: Any, signature_method: str) -> None:
    engine = FakeEngine()
    async with client_of(CLOSED, engine) as client:
        reply = await send(
            client,
            **_IMAGES,
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
    assert (a, b) == (ImageRef(url=_IMAGES["UrlA"]), ImageRef(base64=_IMAGES["ImageB"]))
    assert (options.face_model_version, options.rotate, options.matching_strategy) == ("2.0", True, 0)


@pytest.mark.parametrize("send", [_post_v1, _get_v1])
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"without": "Action"}, "MissingParameter"),
        ({"without": "Version"}, "MissingParameter"),
        ({"without": "SecretId"}, "MissingParameter"),
        ({"SecretId": "undefined"}, "MissingParameter"),
        ({"Action": "null"}, "MissingParameter"),
        ({"Token": "undefined", "Region": "null", "Language": "None", "RequestClient": "nil"}, "OK"),
        ({"Token": "", "Region": "", "Language": "", "SignatureMethod": "undefined"}, "OK"),
        ({"Token": "undefined", "secret_key": "wrong"}, "AuthFailure.SignatureFailure"),
        ({"FaceModelVersion": "", "QualityControl": "undefined", "ImageA": "None"}, "OK"),
        ({"Version": "2019-01-01"}, "NoSuchVersion"),
        ({"Action": "Nothing"}, "InvalidAction"),
        ({"secret_key": "wrong"}, "AuthFailure.SignatureFailure"),
        ({"Foo": "1"}, "UnknownParameter"),
        ({"QualityControl": "one"}, "InvalidParameter"),
        ({"QualityControl": "9"}, "InvalidParameterValue.QualityControlIllegal"),
        ({"UrlA": ""}, "InvalidParameterValue.ImageEmpty"),
    ],
)
async def test_v1_requests_return_the_same_errors(send: Any, changes: dict[str, str], code: str) -> None:
    async with client_of(CLOSED) as client:
        assert code_of(await send(client, **(_IMAGES | changes))) == code


@pytest.mark.parametrize("send", [_post_v1, _get_v1])
@pytest.mark.parametrize(("language", "message"), [("zh-CN", "接口不存在。"), ("en-US", "The request `Action`")])
async def test_language_of_a_v1_request_is_a_parameter(send: Any, language: str, message: str) -> None:
    async with client_of(CLOSED) as client:
        response = response_of(await send(client, Action="Nothing", Language=language))
    assert response["Error"]["Message"].startswith(message)


def test_an_absent_value_is_recognised_in_linear_time() -> None:
    start = time.perf_counter()
    assert not is_absent(" " * 1_000_000 + "x" + " " * 1_000_000)
    assert time.perf_counter() - start < 0.5  # 10 ms; quadratic time would be minutes
