"""Recorded requests of real SDKs, in ../shared/spec/wire_dumps and sdk_requests.txt. Their key is ``SECRET_KEY``."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import NamedTemporaryFile

from app.api import parameters
from app.api.auth import tc3
from app.api.auth.authenticator import Authenticator
from app.api.auth.keys import KeyRing
from app.api.request import CloudRequest
from app.errors import ApiError
from app.settings import AuthSettings
from benchmarks import SHARED

_DUMPS = SHARED / "spec" / "wire_dumps"
_VERDICT = b"---- not part of the request: verifier says ----"
SECRET_ID, SECRET_KEY, TOKEN = "AKIDEXAMPLE", "SECRETEXAMPLE", "TOKENX"


@dataclass(frozen=True)
class RecordedRequest:
    """A recorded request with its body. The parameters of v1 signatures are parsed."""

    name: str
    scheme: str
    request: CloudRequest

    @property
    def is_unsigned(self) -> bool:
        return "x-tc-content-sha256" in self.request.headers


def recordings() -> Iterator[RecordedRequest]:
    """Yield all signed requests; none if the folder is absent."""
    for path in sorted(_DUMPS.glob("*/*.txt")):
        raw, mark, verdict = path.read_bytes().partition(_VERDICT)
        scheme = json.loads(verdict).get("scheme") if mark and path.name != "_summary.txt" else None
        if scheme:
            yield RecordedRequest(f"{path.parent.name}/{path.stem}", scheme, parse(raw))


def sdk_requests() -> dict[str, CloudRequest]:
    """Return the requests of ``sdk_requests.txt`` by their titles. Headers without effect are left out there."""
    blocks = Path(__file__).with_name("sdk_requests.txt").read_text(encoding="utf-8").split("### ")[1:]
    pairs = (block.partition("\n") for block in blocks)
    return {title: parse(raw.replace("\n", "\r\n").encode()) for title, _, raw in pairs}


def parse(raw: bytes) -> CloudRequest:
    """Parse the bytes of a request; the last newline of a form was added by the recorder."""
    head, _, rest = raw.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = line.split(" ")
    path, _, query = target.partition("?")
    pairs = (header.partition(":") for header in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body = rest[: int(headers.get("content-length", "0"))]
    return with_parameters(CloudRequest(method, path, query, headers, body, tc3.sha256(body)))


def with_parameters(request: CloudRequest) -> CloudRequest:
    """Return the request with its v1 parameters parsed, as the gateway passes it on."""
    if not request.is_v1:
        return request
    form = request.query.encode("latin-1") if request.method == "GET" else request.body
    return replace(request, v1_parameters=parameters.from_form(form))


class Verifier:
    """Verifies the signatures of requests with a fixed key and a settable clock."""

    def __init__(self, secret_key: str = SECRET_KEY) -> None:
        keys = "\n".join(
            f'[[callers.{SECRET_ID}.keys]]\nlabel = "{label}"\nsecret_key = "{secret_key}"\ntoken = "{token}"'
            for label, token in (("permanent", ""), ("temporary", TOKEN))
        )
        with NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(keys)
            file.flush()
            settings = AuthSettings(keys_file=Path(file.name))
            ring = KeyRing.open(settings, clock=lambda: 0.0)
        self._now = 0.0
        self._authenticator = Authenticator(settings, ring, is_open=False, clock=lambda: self._now)

    def accepts(self, request: CloudRequest, now: float) -> bool:
        """Return whether the signature is valid at ``now``. Only ``ApiError`` counts as invalid."""
        self._now = now
        try:
            self._authenticator.verify(request, self._authenticator.check_credential(request))
        except ApiError:
            return False
        return True
