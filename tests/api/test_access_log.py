"""The log line of a request."""

import asyncio
import json
import logging
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from app.domain import CompareOptions, Comparison, ImageRef, Population
from app.environment import Settings
from app.errors import ApiError, ErrorCode
from app.ops.stage_timer import StageTimer
from app.settings import AuthSettings, LimitsSettings
from tests.support.fakes import (
    CLOSED,
    COMMON,
    KEYS_FILE,
    FakeEngine,
    FakeService,
    authorization,
    client_of,
    code_of,
    response_of,
    v1_parameters,
)

_BODY = b'{"UrlA":"http://a/1.jpg","UrlB":"http://a/2.jpg"}'


def _signed_headers() -> dict[str, str]:
    now = int(time.time())
    return {
        **COMMON,
        "Content-Type": "application/json",
        "X-TC-Timestamp": str(now),
        "Authorization": authorization(_BODY, timestamp=now),
    }


def _fields(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record)["fields"] for record in caplog.records if record.name == "app.api.access_log"]


async def test_each_request_is_one_log_line_without_its_contents(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "app")
    async with client_of(CLOSED) as client:
        response = response_of(await client.post("/", content=_BODY, headers=_signed_headers()))
    (fields,) = _fields(caplog)
    assert fields["request_id"] == response["RequestId"]
    assert (fields["action"], fields["code"]) == ("CompareFace", "OK")
    assert isinstance(fields["milliseconds"], float)
    assert not re.search(r"http|SECRETEXAMPLE|Signature", json.dumps(fields))


async def test_the_reason_of_an_error_is_logged_and_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
        raise ApiError(ErrorCode.IMAGE_DOWNLOAD_ERROR, reason="HTTP status 404").with_image("B")

    caplog.set_level(logging.INFO, "app")
    async with client_of(engine=FakeEngine(FakeService(fail))) as client:
        reply = await client.post("/", headers=COMMON, json={})
    assert code_of(reply) == ErrorCode.IMAGE_DOWNLOAD_ERROR.value
    assert "HTTP status" not in reply.text
    (fields,) = _fields(caplog)
    assert fields["reason"] == "HTTP status 404"


async def test_the_label_of_the_signing_key_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "app")
    file = tmp_path / "keys.toml"
    file.write_text(KEYS_FILE)
    v1 = v1_parameters("GET", Timestamp=str(int(time.time())), UrlA="a", UrlB="b", secret_key="SECRETEXAMPLE-OLD")
    async with client_of(Settings(auth=AuthSettings(keys_file=file))) as client:
        await client.post("/", content=_BODY, headers=_signed_headers())
        await client.get("/?" + urlencode(v1))
    assert [(fields["secret_id"], fields["key"], fields["action"]) for fields in _fields(caplog)] == [
        ("AKIDEXAMPLE", "new", "CompareFace"),
        ("AKIDEXAMPLE", "old", "CompareFace"),
    ]


async def test_the_population_of_the_key_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "app")
    file = tmp_path / "keys.toml"
    file.write_text(KEYS_FILE)
    v1 = v1_parameters("GET", Timestamp=str(int(time.time())), UrlA="a", UrlB="b", SecretId="limited")
    engine = FakeEngine()
    async with client_of(Settings(auth=AuthSettings(keys_file=file)), engine) as client:
        await client.post("/", content=_BODY, headers=_signed_headers())
        await client.get("/?" + urlencode(v1))
        await client.post("/", content=b"{}", headers=COMMON)
    assert [options.population for _, _, options in engine.service.calls] == [None, Population.MATCHED]
    assert [fields.get("population") for fields in _fields(caplog)] == ["general", "matched", None]


async def _block(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_request_that_is_cancelled_at_shutdown_is_logged_with_the_id_of_its_reply(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "app")
    engine = FakeEngine(FakeService(_block))
    async with client_of(CLOSED, engine) as client, asyncio.timeout(10):
        call = asyncio.create_task(client.post("/", content=_BODY, headers=_signed_headers()))
        while not engine.service.calls:  # noqa: ASYNC110 - the fake has no event
            await asyncio.sleep(0.01)
        call.cancel()  # as uvicorn does when the time to drain is over
        response = response_of(await call)
    assert response["Error"]["Message"] == "The service is being stopped. Please retry."
    (fields,) = _fields(caplog)
    assert (fields["request_id"], fields["code"]) == (response["RequestId"], "FailedOperation.ServerError")


async def test_forms_with_signature_v1_and_rejected_requests_record_queue_and_receive(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "app")
    engine = FakeEngine(FakeService(_block))
    settings = CLOSED.model_copy(update={"limits": LimitsSettings(max_in_flight=1, max_wait_s=0, deadline_s=0.3)})
    form = urlencode(v1_parameters("POST", Timestamp=str(int(time.time())), UrlA="a", UrlB="b"))
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    async with client_of(settings, engine) as client:
        running = asyncio.create_task(client.post("/", content=form, headers=headers))
        while not engine.service.calls:  # noqa: ASYNC110 - the fake has no event
            await asyncio.sleep(0.01)
        await client.post("/", content=_BODY, headers=_signed_headers())
        await running
    stages = {str(fields["code"]): fields["stages"] for fields in _fields(caplog)}
    assert list(stages["RequestLimitExceeded"]) == ["queue"]
    assert set(stages["FailedOperation.RequestTimeout"]) == {"queue", "receive", "verify"}
