"""The envelope of replies: success, error, language, and headers."""

import uuid

import pytest

from tests.support.fakes import COMMON, client_of, code_of, response_of

_BODY = b'{"UrlA":"http://a/1.jpg","UrlB":"http://a/2.jpg"}'
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_a_success_has_the_vendors_envelope() -> None:
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


async def test_an_error_has_the_vendors_envelope() -> None:
    async with client_of() as client:
        response = response_of(await client.post("/"))
    assert list(response) == ["Error", "RequestId"]
    assert response["Error"] == {
        "Code": "MissingParameter",
        "Message": "The request is missing a required parameter `Action`.",
    }


async def test_an_error_message_names_its_image() -> None:
    async with client_of() as client:
        response = response_of(await client.post("/", content='{"UrlA":"u"}', headers=COMMON))
    assert response["Error"] == {
        "Code": "InvalidParameterValue.ImageEmpty",
        "Message": "Empty image. (image B)",
    }


@pytest.mark.parametrize(
    ("language", "message"),
    [
        ("zh-CN", "接口不存在。"),
        ("en-US", "The request `Action` is invalid or not found."),
        ("", "The request `Action` is invalid or not found."),
        ("fr", "The request `Action` is invalid or not found."),
    ],
)
async def test_messages_are_in_the_requested_language(language: str, message: str) -> None:
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
async def test_a_valid_trace_id_is_echoed(sent: bytes, echoed: str | None) -> None:
    async with client_of() as client:
        reply = await client.post("/", headers=[(b"X-TC-TraceId", sent)])
    assert reply.headers.get("x-tc-traceid") == echoed
    assert code_of(reply) == "MissingParameter"


async def test_the_trace_id_of_a_v1_form_is_echoed() -> None:
    async with client_of() as client:
        reply = await client.post("/", content="Action=x", headers={**_FORM, "X-TC-TraceId": "t-1"})
    assert reply.headers["x-tc-traceid"] == "t-1"


async def test_head_returns_the_headers_of_an_envelope() -> None:
    async with client_of() as client:
        reply = await client.head("/", headers=COMMON)
    assert (reply.status_code, reply.headers["content-type"], reply.content) == (200, "application/json", b"")
