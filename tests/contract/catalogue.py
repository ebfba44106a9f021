"""Requests that cause each error code.

``python -m tests.contract.catalogue`` sends them to a live server and writes ``messages.txt``.
"""

import base64
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, NamedTuple

import cv2
import httpx
import numpy as np

from app.errors import ErrorCode
from tests.support.fakes import COMMON, KEYS_FILE, SECRET_KEY, authorization, code_of, response_of
from tests.support.images import astronaut, blurred, jpeg, shrunk
from tests.support.server import Server, running_server

LANGUAGES = ("en-US", "zh-CN")
MESSAGES = Path(__file__).with_name("messages.txt")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _gray_png(width: int, height: int) -> str:
    return _base64(cv2.imencode(".png", np.full((height, width, 3), 127, dtype=np.uint8))[1].tobytes())


_FACE = _base64(jpeg(astronaut()[0:250, 100:350].copy()))
_BLURRED = _base64(jpeg(blurred(astronaut()[0:250, 100:350], 5)))
_SMALL = _base64(jpeg(shrunk(astronaut(), 128)))
VALID_COMPARE: dict[str, Any] = {"ImageA": _FACE, "ImageB": _FACE}
VALID_DETECT: dict[str, Any] = {"Image": _FACE}
_DETECT = {"X-TC-Action": "DetectFace"}


class Case(NamedTuple):
    """A request that fails, and the cause in words. Fields that are not set are valid."""

    code: ErrorCode
    cause: str
    body: dict[str, Any] | bytes = VALID_COMPARE
    headers: Mapping[str, str] = MappingProxyType({})
    method: str = "POST"
    secret_key: str = ""
    secret_id: str = ""
    age_s: int = 0


_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_NO_V3 = {"X-TC-Action": "", "Authorization": "", **_FORM}

CASES = (
    Case(ErrorCode.UNSUPPORTED_PROTOCOL, "any method but GET and POST", method="PUT"),
    Case(ErrorCode.REQUEST_SIZE_LIMIT_EXCEEDED, "a body over `limits.max_body_bytes`", b" " * (11 * 2**20 + 1)),
    Case(ErrorCode.MISSING_PARAMETER, "no `X-TC-Action`", headers={"X-TC-Action": ""}),
    Case(ErrorCode.MISSING_PARAMETER, "no `X-TC-Timestamp`", headers={"X-TC-Timestamp": ""}),
    Case(ErrorCode.MISSING_PARAMETER, "no `Authorization`", headers={"Authorization": ""}),
    Case(ErrorCode.INVALID_ACTION, "an action that does not exist", headers={"X-TC-Action": "CompareCats"}),
    Case(ErrorCode.NO_SUCH_VERSION, "a version that does not exist", headers={"X-TC-Version": "2019-07-22"}),
    Case(ErrorCode.INVALID_PARAMETER, "a timestamp that is not a number", headers={"X-TC-Timestamp": "today"}),
    Case(ErrorCode.INVALID_PARAMETER, "a compressed body", headers={"Content-Encoding": "gzip"}),
    Case(
        ErrorCode.INVALID_AUTHORIZATION,
        "an `Authorization` header of another scheme",
        headers={"Authorization": "Bearer x"},
    ),
    Case(ErrorCode.INVALID_AUTHORIZATION, "`Authorization: SKIP`", headers={"Authorization": "SKIP"}),
    Case(ErrorCode.SECRET_ID_NOT_FOUND, "an unknown SecretId", secret_id="AKIDunknown"),
    Case(
        ErrorCode.SIGNATURE_EXPIRE, "a timestamp that differs from the clock by more than `auth.max_skew_s`", age_s=301
    ),
    Case(ErrorCode.SIGNATURE_FAILURE, "a signature made with another key", secret_key="wrong"),
    Case(ErrorCode.SIGNATURE_FAILURE, "a v1 body over `limits.max_v1_body_bytes`", b"a" * (2**20 + 1), _NO_V3),
    Case(ErrorCode.TOKEN_FAILURE, "a wrong, missing or expired token", headers={"X-TC-Token": "x"}),
    Case(
        ErrorCode.UNAUTHORIZED_OPERATION,
        "an action that is not in the caller's `actions`",
        secret_id="elsewhere",
        secret_key=SECRET_KEY,
    ),
    Case(ErrorCode.INVALID_PARAMETER, "a body that is not a JSON object", b"[]"),
    Case(ErrorCode.INVALID_PARAMETER, "more than 256 values", b'{"UrlA":[' + b"0," * 256 + b"0]}"),
    Case(ErrorCode.INVALID_PARAMETER, "a form or query without `=`", b"{}", _FORM),
    Case(ErrorCode.INVALID_PARAMETER, "a form or query that is not UTF-8", b"UrlA=%FF", _FORM),
    Case(ErrorCode.INVALID_PARAMETER, "a name given twice in a form, query or multipart body", b"UrlA=a&UrlA=a", _FORM),
    Case(ErrorCode.INVALID_REQUEST, "a malformed multipart body", b"x", {"Content-Type": "multipart/form-data"}),
    Case(
        ErrorCode.UNKNOWN_PARAMETER,
        "a parameter that the action and version do not have",
        {**VALID_COMPARE, "ImageC": _FACE},
    ),
    Case(ErrorCode.INVALID_PARAMETER, "a value of the wrong JSON type", {**VALID_COMPARE, "QualityControl": "1"}),
    Case(
        ErrorCode.FACE_MODEL_VERSION_ILLEGAL,
        "`FaceModelVersion` other than 2.0 and 3.0, or not allowed for the caller",
        {**VALID_COMPARE, "FaceModelVersion": "4.0"},
    ),
    Case(ErrorCode.QUALITY_CONTROL_ILLEGAL, "`QualityControl` outside 0 to 4", {**VALID_COMPARE, "QualityControl": 5}),
    Case(
        ErrorCode.PARAMETER_ILLEGAL,
        "`NeedRotateDetection` or `FaceMatchingStrategy` other than 0 and 1",
        {**VALID_COMPARE, "NeedRotateDetection": 2},
    ),
    Case(
        ErrorCode.PARAMETER_ILLEGAL,
        "`MinFaceSize` other than 20 and 34 (2018-03-01: under 1), or `MaxFaceNum` under 1",
        {**VALID_DETECT, "MinFaceSize": 21},
        _DETECT,
    ),
    Case(ErrorCode.FACE_NUM_EXCEED, "`MaxFaceNum` over 120", {**VALID_DETECT, "MaxFaceNum": 121}, _DETECT),
    Case(ErrorCode.IMAGE_EMPTY, "neither `Image` nor `Url` for an image", {"ImageA": _FACE}),
    Case(
        ErrorCode.URL_ILLEGAL,
        "a URL that is not http(s), malformed, or with user information",
        {"UrlA": "ftp://images.example/a.jpg", "ImageB": _FACE},
    ),
    Case(
        ErrorCode.IMAGE_DOWNLOAD_ERROR,
        "any failure to fetch an image, including a private address",
        {"UrlA": "http://169.254.169.254/latest/meta-data", "ImageB": _FACE},
    ),
    Case(
        ErrorCode.IMAGE_SIZE_EXCEED,
        "over 5 MB of base64 text, or a fetched file whose base64 would be",
        {"ImageA": "A" * (5 * 2**20 + 1), "ImageB": _FACE},
    ),
    Case(
        ErrorCode.IMAGE_DECODE_FAILED,
        "another format than JPEG, PNG and BMP, such as WebP, GIF, HEIC, TIFF or PDF",
        {"ImageA": _FACE, "ImageB": _base64(b"GIF89a")},
    ),
    Case(
        ErrorCode.IMAGE_DECODE_FAILED,
        "invalid base64, or a damaged or truncated image",
        {"ImageA": _FACE, "ImageB": _FACE[: len(_FACE) // 8 * 4]},
    ),
    Case(
        ErrorCode.IMAGE_RESOLUTION_EXCEED,
        "a side over 4000 (JPEG) or 2000 pixels (PNG, BMP)",
        {"ImageA": _gray_png(2001, 100), "ImageB": _FACE},
    ),
    Case(
        ErrorCode.IMAGE_RESOLUTION_TOO_SMALL, "a side under 64 pixels", {"ImageA": _gray_png(100, 63), "ImageB": _FACE}
    ),
    Case(ErrorCode.NO_FACE_IN_PHOTO, "no face detected", {"ImageA": _gray_png(100, 100), "ImageB": _FACE}),
    Case(ErrorCode.FACE_SIZE_TOO_SMALL, "`DetectFace`: no face of `MinFaceSize` pixels", {"Image": _SMALL}, _DETECT),
    Case(
        ErrorCode.FACE_QUALITY_NOT_QUALIFIED,
        "a face that `QualityControl` rejects; the message lists its problems",
        {"ImageA": _FACE, "ImageB": _BLURRED, "QualityControl": 2},
    ),
)

OTHER_CAUSES = {
    ErrorCode.REQUEST_LIMIT_EXCEEDED: "a full queue (`limits.max_in_flight`, `limits.max_wait_s`), "
    "or more requests per second than the caller's `requests_per_second`; the message then has the counts",
    ErrorCode.REQUEST_TIMEOUT: "more than `limits.deadline_s` seconds",
    ErrorCode.SERVER_ERROR: "an internal error; the log has the traceback",
}
"""Codes that need an overloaded or a faulty service; ``test_catalogue.py`` produces them."""


def send(server: Server, case: Case | None = None, language: str = "") -> httpx.Response:
    """Send the request of ``case``; by default a valid CompareFace request."""
    case = case or Case(ErrorCode.SERVER_ERROR, "")
    headers, body = signed_request(server, case, language)
    verify = server.tls or True
    return httpx.request(
        case.method, server.url, content=body, headers=headers, timeout=30, trust_env=False, verify=verify
    )


def signed_request(server: Server, case: Case, language: str = "") -> tuple[dict[str, str], bytes]:
    """Return headers and body of the request of ``case``."""
    body = case.body if isinstance(case.body, bytes) else json.dumps(case.body).encode()
    timestamp = int(time.time()) - case.age_s
    headers = {**COMMON, "Content-Type": "application/json", "X-TC-Timestamp": str(timestamp), **case.headers}
    headers.setdefault(
        "Authorization",
        authorization(
            body,
            method=case.method,
            host=server.endpoint,
            timestamp=timestamp,
            content_type=headers["Content-Type"],
            secret_id=case.secret_id or server.secret_id,
            secret_key=case.secret_key or server.secret_key,
        ),
    )
    return {name: value for name, value in {**headers, "X-TC-Language": language}.items() if value}, body


def rows(server: Server) -> Iterable[str]:
    """Yield code, cause, English message and Chinese message of each case, as ``server`` returns them."""
    for case in CASES:
        responses = [send(server, case, language) for language in LANGUAGES]
        assert {code_of(response) for response in responses} == {case.code.value}, case
        messages = [str(response_of(response)["Error"]["Message"]) for response in responses]
        yield " | ".join((case.code.value, case.cause, *messages))
    for code, cause in OTHER_CAUSES.items():
        yield " | ".join((code.value, cause, code.text.en, code.text.zh))


def main() -> None:
    with TemporaryDirectory() as folder:
        keys = Path(folder) / "keys.toml"
        keys.write_text(KEYS_FILE)
        with running_server({"COMPAREFACE_AUTH__KEYS_FILE": str(keys)}) as server:
            MESSAGES.write_text("".join(f"{row}\n" for row in rows(server)), encoding="utf-8")


if __name__ == "__main__":
    main()
