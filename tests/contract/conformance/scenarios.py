"""The scenario table: what is sent, and what must come back."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import cv2
import numpy as np

from app.errors import ErrorCode
from tests.contract.conformance.jobs import Job, Outcome
from tests.support.images import astronaut, jpeg


class Picture(Enum):
    """What a parameter may show."""

    FACE = "a face, 250 pixels wide"
    LARGE = "a face in a file of 3 MB, which is 4 MB of base64"
    BLANK = "nobody"
    GIF = "a format that is not supported"
    ON_THE_WEB = "a face, by its address"


class Caller(Enum):
    """SecretId, SecretKey and token. They are good for one test run on loopback."""

    PERMANENT = ("AKIDpermanent", "key-of-permanent", "")
    FORGED = ("AKIDpermanent", "a-wrong-key", "")
    UNKNOWN = ("AKIDunknown", "key-of-unknown", "")
    TEMPORARY = ("AKIDtemporary", "key-of-temporary", "token-of-temporary")
    FORGED_TOKEN = ("AKIDtemporary", "key-of-temporary", "a-wrong-token")
    NOT_ALLOWED = ("AKIDelsewhere", "key-of-elsewhere", "")
    HURRIED = ("AKIDhurried", "key-of-hurried", "")
    PATIENT = ("AKIDpatient", "key-of-patient", "")


KEYS_FILE = """
[callers.AKIDpermanent]
keys = [{ label = "current", secret_key = "key-of-permanent" }]

[callers.AKIDtemporary]
keys = [{ label = "sts", secret_key = "key-of-temporary", token = "token-of-temporary" }]

[callers.AKIDelsewhere]
keys = [{ label = "current", secret_key = "key-of-elsewhere" }]
actions = ["DetectFace"]

[callers.AKIDhurried]
keys = [{ label = "current", secret_key = "key-of-hurried" }]
requests_per_second = 1

[callers.AKIDpatient]
keys = [{ label = "current", secret_key = "key-of-patient" }]
requests_per_second = 1
"""


@dataclass(frozen=True)
class Success:
    """A score of exactly 100, since every scenario compares a picture with itself."""

    face_model_version: str = "3.0"

    def check(self, outcome: Outcome) -> None:
        assert (outcome.ok, outcome.code, outcome.message) == (True, "", "")
        assert (outcome.score, outcome.face_model_version) == (100.0, self.face_model_version)


@dataclass(frozen=True)
class Failure:
    """The client's exception with this code and a message that matches."""

    code: ErrorCode
    message: str = ".+"

    def check(self, outcome: Outcome) -> None:
        assert not outcome.ok
        assert outcome.exception
        assert (outcome.code, outcome.score) == (self.code.value, None)
        assert re.search(self.message, outcome.message), outcome.message


Params = Mapping[str, Picture | str | int]


@dataclass(frozen=True)
class Scenario:
    """``group`` is a column of the matrix; ``sent`` are the fields of the job that differ from its defaults."""

    group: str
    name: str
    expected: Success | Failure
    caller: Caller
    params: Params
    sent: Mapping[str, Any]

    def job(self, endpoint: str, pictures: Mapping[Picture, str]) -> Job:
        secret_id, secret_key, token = self.caller.value
        params = {name: pictures[value] if isinstance(value, Picture) else value for name, value in self.params.items()}
        return Job(self.name, endpoint, secret_id, secret_key, token, params=params, **self.sent)


def pictures_for(web: str) -> Mapping[Picture, str]:
    """Return what to send for each picture; ``web`` is the server that has ``/astronaut.jpg``."""
    grain = np.random.default_rng(0).integers(-48, 48, (2000, 2000, 3), dtype=np.int16)
    large = np.clip(cv2.resize(astronaut(), (2000, 2000)) + grain, 0, 255).astype(np.uint8)
    files = {
        Picture.FACE: jpeg(astronaut()[0:250, 100:350]),
        Picture.LARGE: jpeg(large, quality=95),
        Picture.BLANK: jpeg(np.full((200, 200, 3), 90, dtype=np.uint8)),
        Picture.GIF: b"GIF89a",
    }
    texts = {picture: base64.b64encode(data).decode() for picture, data in files.items()}
    return {**texts, Picture.ON_THE_WEB: f"{web}/astronaut.jpg"}


_FACES = {"ImageA": Picture.FACE, "ImageB": Picture.FACE}
_LARGE = {"ImageA": Picture.LARGE, "ImageB": Picture.LARGE}
_ADDRESSES = {"UrlA": Picture.ON_THE_WEB, "UrlB": Picture.ON_THE_WEB}
_NOBODY = {"ImageA": Picture.FACE, "ImageB": Picture.BLANK}
_OF_2020: Params = {"FaceModelVersion": "2.0", "QualityControl": 0, "NeedRotateDetection": 1}
_OF_TODAY: Params = {**_OF_2020, "FaceMatchingStrategy": 0}
_SHA1, _SHA256 = "HmacSHA1", "HmacSHA256"


def _scenario(
    group: str,
    name: str,
    expected: Success | Failure | None = None,
    caller: Caller = Caller.PERMANENT,
    params: Params = _FACES,
    **sent: Any,
) -> Scenario:
    return Scenario(group, name, expected or Success(), caller, params, sent)


def _error(name: str, code: ErrorCode, message: str = ".", **other: Any) -> Scenario:
    return _scenario("errors", name, Failure(code, message), **other)


SCENARIOS = [
    _scenario("TC3 POST", "TC3 POST"),
    _scenario("TC3 POST", "TC3 POST with the generic client", untyped=True),
    _scenario("TC3 GET", "TC3 GET", params=_ADDRESSES, method="GET"),
    _scenario("HmacSHA1", "HmacSHA1 POST", sign=_SHA1),
    _scenario("HmacSHA1", "HmacSHA1 GET", params=_ADDRESSES, sign=_SHA1, method="GET"),
    _scenario("HmacSHA256", "HmacSHA256 POST", sign=_SHA256),
    _scenario("HmacSHA256", "HmacSHA256 GET", params=_ADDRESSES, sign=_SHA256, method="GET"),
    _scenario("unsigned payload", "unsigned POST", unsigned=True),
    _scenario("unsigned payload", "unsigned GET", params=_ADDRESSES, unsigned=True, method="GET"),
    _scenario("token", "token by TC3", caller=Caller.TEMPORARY),
    _scenario("token", "token by HmacSHA1", caller=Caller.TEMPORARY, sign=_SHA1),
    _scenario("token", "token by HmacSHA256", caller=Caller.TEMPORARY, sign=_SHA256),
    _scenario("2018-03-01", "2018-03-01 by TC3", version="2018-03-01"),
    _scenario("2018-03-01", "2018-03-01 by HmacSHA1", version="2018-03-01", sign=_SHA1),
    _scenario("parameters", "parameters of 2020", Success("2.0"), params={**_FACES, **_OF_2020}),
    _scenario("parameters", "parameters of today", Success("2.0"), params={**_FACES, **_OF_TODAY}),
    _scenario("parameters", "parameters by TC3 GET", Success("2.0"), params={**_ADDRESSES, **_OF_2020}, method="GET"),
    _scenario("parameters", "parameters by HmacSHA1", Success("2.0"), params={**_FACES, **_OF_2020}, sign=_SHA1),
    _scenario("large pictures", "8 MB by TC3", params=_LARGE),
    _scenario(
        "large pictures",
        "8 MB by HmacSHA1",
        Failure(ErrorCode.SIGNATURE_FAILURE, "TC3-HMAC-SHA256"),
        params=_LARGE,
        sign=_SHA1,
    ),
    _error("wrong key by TC3", ErrorCode.SIGNATURE_FAILURE, caller=Caller.FORGED),
    _error("wrong key by HmacSHA1", ErrorCode.SIGNATURE_FAILURE, caller=Caller.FORGED, sign=_SHA1),
    _error("unknown id by TC3", ErrorCode.SECRET_ID_NOT_FOUND, caller=Caller.UNKNOWN),
    _error("unknown id by HmacSHA1", ErrorCode.SECRET_ID_NOT_FOUND, caller=Caller.UNKNOWN, sign=_SHA1),
    _error("wrong token by TC3", ErrorCode.TOKEN_FAILURE, caller=Caller.FORGED_TOKEN),
    _error("wrong token by HmacSHA1", ErrorCode.TOKEN_FAILURE, caller=Caller.FORGED_TOKEN, sign=_SHA1),
    _error("skipped signature", ErrorCode.INVALID_AUTHORIZATION, skip=True),
    _error("not allowed", ErrorCode.UNAUTHORIZED_OPERATION, caller=Caller.NOT_ALLOWED),
    _error("unknown action", ErrorCode.INVALID_ACTION, action="CompareFaces"),
    _error(
        "unknown parameter", ErrorCode.UNKNOWN_PARAMETER, "Surprise", params={**_FACES, "Surprise": 1}, untyped=True
    ),
    _error(
        "wrong type",
        ErrorCode.INVALID_PARAMETER,
        "QualityControl",
        params={**_FACES, "QualityControl": "1"},
        untyped=True,
    ),
    _error("illegal value", ErrorCode.FACE_MODEL_VERSION_ILLEGAL, params={**_FACES, "FaceModelVersion": "1.0"}),
    _error("not a picture", ErrorCode.IMAGE_DECODE_FAILED, params={"ImageA": Picture.FACE, "ImageB": Picture.GIF}),
    _error(
        "nobody, in Chinese",
        ErrorCode.NO_FACE_IN_PHOTO,
        "^图片中没有人脸。（图片B）$",
        params=_NOBODY,
        language="zh-CN",
    ),
    _error(
        "nobody, in English",
        ErrorCode.NO_FACE_IN_PHOTO,
        r"^There are no faces in the image\. \(image B\)$",
        params=_NOBODY,
        language="en-US",
    ),
    _error(
        "nobody, in English by HmacSHA1",
        ErrorCode.NO_FACE_IN_PHOTO,
        r"^There are no faces in the image\. \(image B\)$",
        params=_NOBODY,
        language="en-US",
        sign=_SHA1,
    ),
    _error(
        "too often, in Chinese",
        ErrorCode.REQUEST_LIMIT_EXCEEDED,
        r"^您当前每秒请求 `\d` 次，超过了每秒频率上限 `1`，请稍后重试。$",
        caller=Caller.HURRIED,
        language="zh-CN",
        times=6,
    ),
    _error(
        "too often, in English",
        ErrorCode.REQUEST_LIMIT_EXCEEDED,
        r"^Your current request times equals to `\d` in a second, which exceeds the frequency limit `1` for a second\.",
        caller=Caller.HURRIED,
        language="en-US",
        times=6,
    ),
    _scenario("retry", "retry", caller=Caller.PATIENT, times=3, attempts=2),
]
