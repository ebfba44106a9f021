"""Neither the log, at its most talkative, nor any reply has keys, signatures, pictures, or what URLs ask for."""

from __future__ import annotations

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
from tests.contract.catalogue import CASES, GOOD, Case, send, signed
from tests.contract.exchange import Exchange, raw
from tests.support.fakes import v1_parameters
from tests.support.images import astronaut, jpeg
from tests.support.server import Server, running_server

_MARK = "MARKEDSECRET"


class _Watched(NamedTuple):
    server: Server
    log: Path


@pytest.fixture(scope="module")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Watched]:
    log = tmp_path_factory.mktemp("talkative") / "log"
    settings = {"COMPAREFACE_FETCH__ALLOW": "127.0.0.1", "COMPAREFACE_LOG__LEVEL": "debug"}
    with running_server(settings, log=log) as server:
        yield _Watched(server, log)


def _marked_picture() -> str:
    """A photograph whose EXIF says where it was taken, so to speak."""
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = _MARK, 6
    stream = io.BytesIO()
    Image.open(io.BytesIO(jpeg(astronaut()))).save(stream, "JPEG", exif=exif)
    return base64.b64encode(stream.getvalue()).decode()


def _replies(server: Server, pictures: str) -> Iterator[httpx.Response]:
    """Ask in every way in which something secret is sent."""
    picture = _marked_picture()
    for body in (
        {"ImageA": picture, "ImageB": picture},
        {"UrlA": f"{pictures}/astronaut.jpg?{_MARK}", "ImageB": picture},
        {"UrlA": f"{pictures}/missing.jpg?{_MARK}", "ImageB": picture},
        {"UrlA": f"http://{_MARK}:{_MARK}@127.0.0.1/", "ImageB": picture},
        {"UrlA": f"http://169.254.169.254/?{_MARK}", "ImageB": picture},
        {"UrlA": f"http://{_MARK}.invalid/?{_MARK}", "ImageB": picture},
        {"ImageA": _MARK, "ImageB": picture},
        f'{{"ImageA": "{_MARK}'.encode(),
    ):
        yield send(server, Case(ErrorCode.SERVER_ERROR, "", body))
    yield send(server, Case(ErrorCode.SERVER_ERROR, "", headers={"Authorization": f"TC3-HMAC-SHA256 {_MARK}"}))
    yield send(server, Case(ErrorCode.SERVER_ERROR, "", secret_key="wrong"))
    values = {"UrlA": f"{pictures}/{_MARK}", "UrlB": _MARK, "Timestamp": str(int(time.time()))}
    sent = v1_parameters("GET", host=server.endpoint, secret_key=server.secret_key, SecretId=server.secret_id, **values)
    yield httpx.get(f"http://{server.endpoint}/?{urlencode(sent)}", trust_env=False)
    yield httpx.get(f"http://{server.endpoint}/?{urlencode({**sent, 'Signature': _MARK})}", trust_env=False)


def test_no_secret_is_in_the_log_at_any_level_nor_in_a_reply(talkative: _Watched, pictures: str) -> None:
    server, log = talkative
    told = "".join(reply.text for reply in _replies(server, pictures))
    with Exchange(server) as exchange:
        exchange.play(raw(f"GET /?{_MARK} HTTP/1.1\r\nAuthorization : {_MARK}\r\n\r\n".encode())(server))
        told += exchange.reply()
    authorization = signed(server, Case(ErrorCode.SERVER_ERROR, ""))[0]["Authorization"]
    assert send(server).status_code == 200
    written = log.read_text(encoding="utf-8")
    assert '"level": "debug"' in written
    for secret in (_MARK, _MARK.lower(), server.secret_key, authorization[-64:], "Signature=", GOOD["ImageA"][:40]):
        assert secret not in written
        assert secret not in told


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.words)
def test_no_text_has_a_path_an_address_or_an_exception(talkative: _Watched, case: Case) -> None:
    message = json.loads(send(talkative.server, case).text)["Response"]["Error"]["Message"]
    for part in ("/", "\\", "Traceback", "Error(", "0x", "127.0.0.1", "169.254", "errno", "site-packages"):
        assert part not in message.replace("application/json", "")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/version", "/"])
def test_every_reply_has_the_headers_that_keep_it_from_being_misused(talkative: _Watched, path: str) -> None:
    origin = {"Origin": "https://evil.example"}
    reply = httpx.get(f"http://{talkative.server.endpoint}{path}", headers=origin, trust_env=False)
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["content-type"] == "application/json"
    assert not {"server", "access-control-allow-origin", "set-cookie"} & set(reply.headers)
