"""Routes for operators, and requests that end outside the gateway."""

import json
import logging
from collections.abc import Mapping
from contextlib import nullcontext
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from starlette.types import Message

import app
from app.api.routes import CloudRoute
from app.asgi import create_app, create_health_app
from app.ops.logs import JsonFormatter
from app.settings import MetricsSettings
from tests.support.fakes import COMMON, OPEN, FakeEngine, client_of, code_of, response_of

_TABLE = {"status": "measured", "data": "random", "people": 9, "impostor_pairs": 36, "genuine_pairs": 9, "groups": {}}
_NO_SUCH_PATH = {
    "time": "", "level": "info", "logger": "app.api.access_log", "message": "no such path", "status": 404, "port": 8000,
}  # fmt: skip
_WITH_METRICS = OPEN.model_copy(update={"metrics": MetricsSettings(enabled=True)})


def _access_log(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "app.api.access_log"]


async def test_operator_routes_return_plain_json() -> None:
    async with client_of(OPEN) as client:
        assert (await client.get("/healthz")).json() == {"alive": True}
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"ready": True})
        assert (await client.get("/version")).json() == {
            "name": "compareface",
            "version": app.__version__,
            "server_processes": 1,
            "engine": {
                "pack": "fake",
                "pack_is_automatic": False,
                "pack_of_version_2_0": "fake",
                "device": "cpu",
                "provider": "CPUExecutionProvider",
                "networks": {},
                "worker_threads": 2,
                "threads_per_model_run": 1,
                "population": "general",
                "calibration": {
                    "fake": {
                        "status": "measured",
                        "date": "2026-11-22",
                        "populations": {"general": _TABLE, "matched": _TABLE},
                    }
                },
                "calibration_notes": [],
                "unfit": {},
            },
        }


async def test_metrics_are_served_if_enabled() -> None:
    async with client_of(_WITH_METRICS) as client:
        await client.post("/", headers=COMMON, json={"UrlA": "http://a.example", "UrlB": "http://b.example"})
        await client.post("/", headers=COMMON, json={})
        await client.post("/", headers=COMMON | {"X-TC-Action": "Invented"})
        reply = await client.get("/metrics")
        head = await client.head("/metrics")
        assert code_of(await client.post("/metrics")) == "MissingParameter"  # a cloud request, as for /healthz
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert reply.headers["cache-control"] == "no-store"
    lines = reply.text.splitlines()
    assert 'compareface_requests_total{action="CompareFace",code="OK"} 1.0' in lines
    assert 'compareface_requests_total{action="CompareFace",code="FailedOperation.ServerError"} 0.0' in lines
    assert 'compareface_requests_total{action="CompareFace",code="InvalidParameterValue.ImageEmpty"} 1.0' in lines
    assert 'compareface_requests_total{action="other",code="InvalidAction"} 1.0' in lines
    assert 'compareface_request_seconds_count{action="CompareFace"} 1.0' in lines
    assert "compareface_in_flight 0.0" in lines
    assert "Invented" not in reply.text
    assert (head.status_code, head.content) == (200, b"")


async def test_metrics_are_disabled_by_default() -> None:
    async with client_of(OPEN) as client:
        assert (await client.get("/metrics")).status_code == 404


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/", 200, "Tencent Cloud API 3.0"),
        ("/?", 200, "Tencent Cloud API 3.0"),
        ("/?action=CompareFace", 200, "Tencent Cloud API 3.0"),
        ("/healthz/", 404, "no such path"),
        ("/foo/bar", 404, "no such path"),
        ("/%0a", 404, "no such path"),
        ("/..%2f", 404, "no such path"),
    ],
)
async def test_a_get_request_without_an_action_is_no_cloud_request(
    path: str, status: int, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with client_of() as client:
        reply = await client.get(path)
        assert (reply.status_code, text in reply.text) == (status, True)
        assert (await client.head(path)).status_code == status
    lines = [json.loads(JsonFormatter().format(record)) for record in _access_log(caplog)]
    methods = ("GET", "HEAD") if status == HTTPStatus.NOT_FOUND else ()
    assert [{**line, "time": ""} for line in lines] == [{**_NO_SUCH_PATH, "method": method} for method in methods]


@pytest.mark.parametrize("path", ["/readyz/", "/healthz/", "/healthz%2f", "/metrics", "/docs", "/"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "SECRET"])
async def test_an_unknown_path_of_the_health_port_is_not_found_and_logged(
    path: str, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    transport = httpx.ASGITransport(create_health_app(OPEN))
    async with httpx.AsyncClient(transport=transport, base_url="http://a:9001") as client:
        reply = await client.request(method, path)
    assert reply.status_code == HTTPStatus.NOT_FOUND
    assert ("/healthz and /readyz" in reply.text) == (method != "HEAD")
    (record,) = _access_log(caplog)
    logged = "other" if method == "SECRET" else method
    assert vars(record)["fields"] == {"status": 404, "method": logged, "port": 9001}


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("Action=CompareFace", {}),
        ("a=b&Action=", {}),
        ("SecretId=a", {}),
        ("", {"X-TC-Action": "CompareFace"}),
        ("", {"Authorization": "x"}),
    ],
)
@pytest.mark.parametrize("path", ["/", "/foo"])
async def test_a_get_request_with_an_action_or_a_credential_is_a_cloud_request(
    path: str, query: str, headers: Mapping[str, str]
) -> None:
    async with client_of() as client:
        assert "Error" in response_of(await client.get(f"{path}?{query}", headers=headers))


@pytest.mark.parametrize("path", ["/", "/?", "/foo/bar", "/docs", "/openapi.json", "/healthz/", "/%0a", "/..%2f"])
async def test_every_path_takes_cloud_requests(path: str) -> None:
    async with client_of() as client:
        reply = await client.post(path, json={"UrlA": "a", "UrlB": "b"}, headers=COMMON)
    assert code_of(reply) == "OK"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/version"])
async def test_a_post_to_an_operator_route_is_a_cloud_request(path: str) -> None:
    async with client_of() as client:
        reply = await client.post(path, json={"UrlA": "a", "UrlB": "b"}, headers=COMMON)
    assert code_of(reply) == "OK"


class _BrokenEngine(FakeEngine):
    """Its information is available at the start only."""

    is_started = False

    @property
    def info(self) -> Any:
        if self.is_started:
            raise RuntimeError("/secret/path")
        return super().info


async def test_an_error_outside_the_gateway_has_an_envelope_whose_request_id_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = _BrokenEngine()
    async with client_of(OPEN, engine) as client:
        engine.is_started = True
        reply = await client.get("/version")
    assert code_of(reply) == "FailedOperation.ServerError"
    assert "secret" not in reply.text
    (record,) = (record for record in caplog.records if record.name == "app.api.routes")
    assert vars(record)["fields"] == {"request_id": response_of(reply)["RequestId"]}


async def test_a_disconnect_while_sending_is_logged_as_abandoned_without_a_reply(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    messages: list[Message] = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    received = iter(messages)
    sent: list[Message] = []

    async def receive() -> Message:
        return next(received)

    async def send(message: Message) -> None:
        sent.append(message)

    application = create_app(OPEN, lambda _: nullcontext(FakeEngine()))
    async with application.router.lifespan_context(application) as state:
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/",
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in COMMON.items()],
            "state": dict(state or {}),
        }
        await application(scope, receive, send)
    assert sent == []
    assert [vars(record)["fields"]["code"] for record in _access_log(caplog)] == ["Abandoned"]


async def test_repeated_headers_are_one_value() -> None:
    async with client_of() as client:
        headers = [("X-TC-Action", "CompareFace"), ("X-TC-Action", "Other"), ("X-TC-Version", "2020-03-03")]
        assert code_of(await client.post("/", headers=headers)) == "InvalidAction"


async def test_websockets_are_closed() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    await CloudRoute().handle({"type": "websocket"}, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]
