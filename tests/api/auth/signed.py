"""Signed requests, and the outcome of their verification."""

from app.api.auth import tc3
from app.api.auth.authenticator import Authenticator
from app.api.auth.keys import KeyRing
from app.api.request import CloudRequest
from app.errors import ApiError
from app.settings import AuthSettings
from tests.support.fakes import NOW, SECRET_ID, SECRET_KEY

BODY = b'{"UrlA":"http://a/1.jpg"}'


def authenticator(
    keys: str = f"{SECRET_ID}:{SECRET_KEY}", *, is_open: bool = False, now: float = NOW, hosts: str = ""
) -> Authenticator:
    settings = AuthSettings.model_validate({"keys": keys, "hosts": hosts})
    return Authenticator(settings, KeyRing.open(settings), is_open, lambda: now)


def tc3_request(
    authorization: str, body: bytes = BODY, method: str = "POST", query: str = "", path: str = "/", **headers: str
) -> CloudRequest:
    """Return a request with signature version 3; ``headers`` have underscores instead of hyphens."""
    sent = {
        "host": "127.0.0.1:8000",
        "content-type": "application/json",
        "x-tc-timestamp": str(NOW),
        "authorization": authorization,
    }
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return CloudRequest(method, path, query, sent, body, tc3.sha256(body))


def v1_request(method: str = "POST", path: str = "/", host: str = "127.0.0.1:8000", **parameters: str) -> CloudRequest:
    """Return a request with signature version 1."""
    return CloudRequest(method, path, "", {"host": host}, v1_parameters=parameters)


def outcome(subject: Authenticator, request: CloudRequest) -> str:
    """Return the name of the error code, or "OK"."""
    try:
        subject.verify(request, subject.check_credential(request))
    except ApiError as error:
        return error.code.name
    return "OK"
