"""Neither the debug log nor any response contains keys, signatures, images or URL queries."""

import base64
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import httpx
import pytest
from PIL import Image

from app.errors import ErrorCode
from tests.contract.catalogue import CASES, VALID_COMPARE, Case, send, signed_request
from tests.contract.exchange import Exchange, raw
from tests.support.fakes import v1_parameters
from tests.support.images import astronaut, jpeg
from tests.support.server import Server, running_server

_MARK = "MARKEDSECRET"


class _LoggedServer(NamedTuple):
    server: Server
    log: Path


@pytest.fixture(scope="module")
def debug_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_LoggedServer]:
    log = tmp_path_factory.mktemp("debug_server") / "log"
    settings = {"COMPAREFACE_FETCH__ALLOW": "127.0.0.1", "COMPAREFACE_LOG__LEVEL": "debug"}
    with running_server(settings, log=log) as server:
        yield _LoggedServer(server, log)


def _marked_image() -> str:
    """Return a photo with the mark in its EXIF data, as base64."""
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = _MARK, 6
    stream = io.BytesIO()
    Image.open(io.BytesIO(jpeg(astronaut()))).save(stream, "JPEG", exif=exif)
    return base64.b64encode(stream.getvalue()).decode()


def _responses(server: Server, images_url: str) -> Iterator[httpx.Response]:
    """Send requests with the mark in every field that may be secret; yield the responses."""
    image = _marked_image()
    for body in (
        {"ImageA": image, "ImageB": image},
        {"UrlA": f"{images_url}/astronaut.jpg?{_MARK}", "ImageB": image},
        {"UrlA": f"{images_url}/missing.jpg?{_MARK}", "ImageB": image},
        {"UrlA": f"http://{_MARK}:{_MARK}@127.0.0.1/", "ImageB": image},
        {"UrlA": f"http://169.254.169.254/?{_MARK}", "ImageB": image},
        {"UrlA": f"http://{_MARK}.invalid/?{_MARK}", "ImageB": image},
        {"ImageA": _MARK, "ImageB": image},
        f'{{"ImageA": "{_MARK}'.encode(),
    ):
        yield send(server, Case(ErrorCode.SERVER_ERROR, "", body))
    yield send(server, Case(ErrorCode.SERVER_ERROR, "", headers={"Authorization": f"TC3-HMAC-SHA256 {_MARK}"}))
    yield send(server, Case(ErrorCode.SERVER_ERROR, "", secret_key="wrong"))
    values = {"UrlA": f"{images_url}/{_MARK}", "UrlB": _MARK, "Timestamp": str(int(time.time()))}
    sent = v1_parameters("GET", host=server.endpoint, secret_key=server.secret_key, SecretId=server.secret_id, **values)
    yield httpx.get(f"http://{server.endpoint}/?{urlencode(sent)}", trust_env=False)
    yield httpx.get(f"http://{server.endpoint}/?{urlencode({**sent, 'Signature': _MARK})}", trust_env=False)


def test_the_debug_log_and_the_responses_contain_no_secret(debug_server: _LoggedServer, images_url: str) -> None:
    server, log = debug_server
    received = "".join(response.text for response in _responses(server, images_url))
    with Exchange(server) as exchange:
        exchange.play(raw(f"GET /?{_MARK} HTTP/1.1\r\nAuthorization : {_MARK}\r\n\r\n".encode())(server))
        received += exchange.response()
    authorization = signed_request(server, Case(ErrorCode.SERVER_ERROR, ""))[0]["Authorization"]
    assert send(server).status_code == 200
    written = log.read_text(encoding="utf-8")
    assert '"level": "debug"' in written
    for secret in (
        _MARK,
        _MARK.lower(),
        server.secret_key,
        authorization[-64:],
        "Signature=",
        VALID_COMPARE["ImageA"][:40],
    ):
        assert secret not in written
        assert secret not in received


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.cause)
def test_no_error_message_contains_a_path_an_address_or_an_exception(debug_server: _LoggedServer, case: Case) -> None:
    message = json.loads(send(debug_server.server, case).text)["Response"]["Error"]["Message"]
    for part in ("/", "\\", "Traceback", "Error(", "0x", "127.0.0.1", "169.254", "errno", "site-packages"):
        assert part not in message.replace("application/json", "")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/version", "/"])
def test_every_response_has_the_security_headers(debug_server: _LoggedServer, path: str) -> None:
    origin = {"Origin": "https://evil.example"}
    response = httpx.get(f"http://{debug_server.server.endpoint}{path}", headers=origin, trust_env=False)
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-type"] == "application/json"
    assert not {"server", "access-control-allow-origin", "set-cookie"} & set(response.headers)
