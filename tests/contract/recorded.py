"""Requests of real SDKs, recorded byte by byte: ../shared/spec/wire_dumps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from app.api import parameters
from app.api.auth import tc3
from app.api.auth.authenticator import Authenticator
from app.api.auth.keys import KeyRing
from app.api.request import CloudRequest
from app.errors import ApiError
from app.settings import AuthSettings

_DUMPS = Path(__file__).resolve().parents[2].parent / "shared" / "spec" / "wire_dumps"
_VERDICT = b"---- not part of the request: verifier says ----"
SECRET_ID, SECRET_KEY, TOKEN = "AKIDEXAMPLE", "SECRETEXAMPLE", "TOKENX"


@dataclass(frozen=True)
class Recorded:
    """One request with its body, its v1 parameters parsed."""

    name: str
    scheme: str
    request: CloudRequest

    @property
    def is_unsigned(self) -> bool:
        return "x-tc-content-sha256" in self.request.headers


def recordings() -> Iterator[Recorded]:
    """Yield all signed ones; none where the folder is absent."""
    for path in sorted(_DUMPS.glob("*/*.txt")):
        raw, mark, verdict = path.read_bytes().partition(_VERDICT)
        scheme = json.loads(verdict).get("scheme") if mark and path.name != "_summary.txt" else None
        if scheme:
            yield Recorded(f"{path.parent.name}/{path.stem}", scheme, parse(raw))


def parse(raw: bytes) -> CloudRequest:
    """Return the request that these bytes are; a form's last newline is the recorder's."""
    head, _, rest = raw.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = line.split(" ")
    path, _, query = target.partition("?")
    pairs = (header.partition(":") for header in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body = rest[: int(headers.get("content-length", "0"))]
    return with_parameters(CloudRequest(method, path, query, headers).with_body(body, tc3.sha256(body)))


def with_parameters(request: CloudRequest) -> CloudRequest:
    """Return the request as the gateway knows it: v1 parameters at hand."""
    if not request.is_v1:
        return request
    form = request.query.encode("latin-1") if request.method == "GET" else request.body
    return request.with_v1(parameters.from_form(form))


class Verifier:
    """Lets requests in as of their own time, or of another."""

    def __init__(self, secret_key: str = SECRET_KEY) -> None:
        keys = "\n".join(
            f'[[callers.{SECRET_ID}.keys]]\nlabel = "{label}"\nsecret_key = "{secret_key}"\ntoken = "{token}"'
            for label, token in (("permanent", ""), ("temporary", TOKEN))
        )
        with NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(keys)
            file.flush()
            settings = AuthSettings(keys_file=Path(file.name))
            ring = KeyRing(settings, clock=lambda: 0.0)
        self._now = 0.0
        self._subject = Authenticator(settings, ring, is_open=False, clock=lambda: self._now)

    def accepts(self, request: CloudRequest, now: float) -> bool:
        """Whether the request is let in at ``now``; raise whatever is not an ``ApiError``."""
        self._now = now
        try:
            self._subject.verify(request, self._subject.check_headers(request))
        except ApiError:
            return False
        return True
