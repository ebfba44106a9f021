"""What produces each error code. As a program it asks a live server and prints the table of app/README.md."""

from __future__ import annotations

import base64
import json
import sys
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


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _drawn(width: int, height: int) -> str:
    return _base64(cv2.imencode(".png", np.full((height, width, 3), 127, dtype=np.uint8))[1].tobytes())


_FACE = _base64(jpeg(astronaut()[0:250, 100:350].copy()))
_BLURRED = _base64(jpeg(blurred(astronaut()[0:250, 100:350], 5)))
_SMALL = _base64(jpeg(shrunk(astronaut(), 128)))
GOOD: dict[str, Any] = {"ImageA": _FACE, "ImageB": _FACE}
ONE: dict[str, Any] = {"Image": _FACE}
_DETECT = {"X-TC-Action": "DetectFace"}


class Case(NamedTuple):
    """One request that fails, and the words for it; everything that is not said is in order."""

    code: ErrorCode
    words: str
    body: dict[str, Any] | bytes = GOOD
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
    Case(ErrorCode.INVALID_PARAMETER, "a timestamp that is no number", headers={"X-TC-Timestamp": "today"}),
    Case(ErrorCode.INVALID_PARAMETER, "a compressed body", headers={"Content-Encoding": "gzip"}),
    Case(ErrorCode.INVALID_AUTHORIZATION, "an `Authorization` of another shape", headers={"Authorization": "Bearer x"}),
    Case(ErrorCode.INVALID_AUTHORIZATION, "`Authorization: SKIP`", headers={"Authorization": "SKIP"}),
    Case(ErrorCode.SECRET_ID_NOT_FOUND, "an id without a key", secret_id="AKIDnobody"),
    Case(ErrorCode.SIGNATURE_EXPIRE, "a timestamp more than `auth.max_skew_s` off", age_s=301),
    Case(ErrorCode.SIGNATURE_FAILURE, "a signature that no key of the id makes", secret_key="wrong"),
    Case(ErrorCode.SIGNATURE_FAILURE, "a v1 body over `limits.max_v1_body_bytes`", b"a" * (2**20 + 1), _NO_V3),
    Case(ErrorCode.TOKEN_FAILURE, "a wrong, missing or expired token", headers={"X-TC-Token": "x"}),
    Case(
        ErrorCode.UNAUTHORIZED_OPERATION,
        "an action that the key's `actions` leave out",
        secret_id="elsewhere",
        secret_key=SECRET_KEY,
    ),
    Case(ErrorCode.INVALID_PARAMETER, "a body that is not a JSON object", b"[]"),
    Case(ErrorCode.INVALID_PARAMETER, "more than 256 values", b'{"UrlA":[' + b"0," * 256 + b"0]}"),
    Case(ErrorCode.INVALID_PARAMETER, "a form or query without `=`", b"{}", _FORM),
    Case(ErrorCode.INVALID_PARAMETER, "a form or query that is not UTF-8", b"UrlA=%FF", _FORM),
    Case(ErrorCode.INVALID_PARAMETER, "a name given twice in a form, query or multipart body", b"UrlA=a&UrlA=a", _FORM),
    Case(ErrorCode.INVALID_REQUEST, "a malformed multipart body", b"x", {"Content-Type": "multipart/form-data"}),
    Case(ErrorCode.UNKNOWN_PARAMETER, "a parameter unknown to action and version", {**GOOD, "ImageC": _FACE}),
    Case(ErrorCode.INVALID_PARAMETER, "a value of the wrong JSON type", {**GOOD, "QualityControl": "1"}),
    Case(
        ErrorCode.FACE_MODEL_VERSION_ILLEGAL,
        "`FaceModelVersion` other than 2.0 and 3.0, or not allowed to the key",
        {**GOOD, "FaceModelVersion": "4.0"},
    ),
    Case(ErrorCode.QUALITY_CONTROL_ILLEGAL, "`QualityControl` outside 0 to 4", {**GOOD, "QualityControl": 5}),
    Case(
        ErrorCode.PARAMETER_ILLEGAL,
        "`NeedRotateDetection` or `FaceMatchingStrategy` other than 0 and 1",
        {**GOOD, "NeedRotateDetection": 2},
    ),
    Case(
        ErrorCode.PARAMETER_ILLEGAL,
        "`MinFaceSize` other than 20 and 34 (2018-03-01: under 1), or `MaxFaceNum` under 1",
        {**ONE, "MinFaceSize": 21},
        _DETECT,
    ),
    Case(ErrorCode.FACE_NUM_EXCEED, "`MaxFaceNum` over 120", {**ONE, "MaxFaceNum": 121}, _DETECT),
    Case(ErrorCode.IMAGE_EMPTY, "neither Image nor Url of a side", {"ImageA": _FACE}),
    Case(
        ErrorCode.URL_ILLEGAL,
        "a URL that is not http(s), malformed, or with user information",
        {"UrlA": "ftp://pictures.example/a.jpg", "ImageB": _FACE},
    ),
    Case(
        ErrorCode.IMAGE_DOWNLOAD_ERROR,
        "any failure to fetch, a private address included",
        {"UrlA": "http://169.254.169.254/latest/meta-data", "ImageB": _FACE},
    ),
    Case(
        ErrorCode.IMAGE_SIZE_EXCEED,
        "over 5 MB of base64 text, or of a fetched file once encoded",
        {"ImageA": "A" * (5 * 2**20 + 1), "ImageB": _FACE},
    ),
    Case(
        ErrorCode.IMAGE_DECODE_FAILED,
        "not JPEG, PNG or BMP: PDF, WebP, GIF, HEIC, TIFF and the rest",
        {"ImageA": _FACE, "ImageB": _base64(b"GIF89a")},
    ),
    Case(
        ErrorCode.IMAGE_DECODE_FAILED,
        "bad base64; broken or cut off",
        {"ImageA": _FACE, "ImageB": _FACE[: len(_FACE) // 8 * 4]},
    ),
    Case(
        ErrorCode.IMAGE_RESOLUTION_EXCEED,
        "a side over 4000 (JPEG) or 2000 pixels (PNG, BMP)",
        {"ImageA": _drawn(2001, 100), "ImageB": _FACE},
    ),
    Case(ErrorCode.IMAGE_RESOLUTION_TOO_SMALL, "a side under 64 pixels", {"ImageA": _drawn(100, 63), "ImageB": _FACE}),
    Case(ErrorCode.NO_FACE_IN_PHOTO, "no face found", {"ImageA": _drawn(100, 100), "ImageB": _FACE}),
    Case(ErrorCode.FACE_SIZE_TOO_SMALL, "`DetectFace`: no face of `MinFaceSize` pixels", {"Image": _SMALL}, _DETECT),
    Case(
        ErrorCode.FACE_QUALITY_NOT_QUALIFIED,
        "a face that `QualityControl` refuses, with its problems",
        {"ImageA": _FACE, "ImageB": _BLURRED, "QualityControl": 2},
    ),
)

ELSEWHERE = {
    ErrorCode.REQUEST_LIMIT_EXCEEDED: "more requests at once than `limits.max_in_flight`, for `limits.max_wait_s`; "
    "or more in a second than the key's `requests_per_second`, with the counts",
    ErrorCode.REQUEST_TIMEOUT: "`limits.deadline_s` is over",
    ErrorCode.SERVER_ERROR: "a defect of ours; the log has the traceback",
}
"""Codes that need a server at its limits, or a broken one; ``test_catalogue.py`` has both."""


def send(server: Server, case: Case | None = None, language: str = "") -> httpx.Response:
    """Send the case's request; without one, that which all others are made from."""
    case = case or Case(ErrorCode.SERVER_ERROR, "")
    headers, body = signed(server, case, language)
    url = f"http://{server.endpoint}/"
    return httpx.request(case.method, url, content=body, headers=headers, timeout=30, trust_env=False)


def signed(server: Server, case: Case, language: str = "") -> tuple[dict[str, str], bytes]:
    """Return headers and body of the case's request."""
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
    """Yield the rows of the table, with what ``server`` answers."""
    for case in CASES:
        replies = [send(server, case, language) for language in LANGUAGES]
        assert {code_of(reply) for reply in replies} == {case.code.value}, case
        english, chinese = (str(response_of(reply)["Error"]["Message"]).replace("|", r"\|") for reply in replies)
        yield f"| `{case.code.value}` | {case.words} | {english} | {chinese} |"
    for code, words in ELSEWHERE.items():
        yield f"| `{code.value}` | {words} | {code.text.en} | {code.text.zh} |"


def main() -> None:
    with TemporaryDirectory() as folder:
        keys = Path(folder) / "keys.toml"
        keys.write_text(KEYS_FILE)
        with running_server({"COMPAREFACE_AUTH__KEYS_FILE": str(keys)}) as server:
            sys.stdout.writelines(f"{row}\n" for row in rows(server))


if __name__ == "__main__":
    main()
