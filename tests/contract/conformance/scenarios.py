"""The scenarios: requests, and their expected results."""

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


class SampleImage(Enum):
    """Images for parameters."""

    FACE = "a face, 250 pixels wide"
    LARGE = "a face in a file of 3 MB, which is 4 MB of base64"
    BLANK = "no face"
    GIF = "a format that is not supported"
    URL = "a face, by URL"


class Caller(Enum):
    """SecretId, SecretKey and token of a caller; valid for one test run on loopback."""

    PERMANENT = ("AKIDpermanent", "key-of-permanent", "")
    FORGED = ("AKIDpermanent", "another-key", "")
    UNKNOWN = ("AKIDunknown", "key-of-unknown", "")
    TEMPORARY = ("AKIDtemporary", "key-of-temporary", "token-of-temporary")
    FORGED_TOKEN = ("AKIDtemporary", "key-of-temporary", "another-token")
    NOT_ALLOWED = ("AKIDelsewhere", "key-of-elsewhere", "")
    RATE_LIMITED = ("AKIDrate-limited", "key-of-rate-limited", "")
    RETRYING = ("AKIDretrying", "key-of-retrying", "")


KEYS_FILE = """
[callers.AKIDpermanent]
keys = [{ label = "current", secret_key = "key-of-permanent" }]

[callers.AKIDtemporary]
keys = [{ label = "sts", secret_key = "key-of-temporary", token = "token-of-temporary" }]

[callers.AKIDelsewhere]
keys = [{ label = "current", secret_key = "key-of-elsewhere" }]
actions = ["DetectFace"]

[callers.AKIDrate-limited]
keys = [{ label = "current", secret_key = "key-of-rate-limited" }]
requests_per_second = 1

[callers.AKIDretrying]
keys = [{ label = "current", secret_key = "key-of-retrying" }]
requests_per_second = 1
"""


@dataclass(frozen=True)
class Success:
    """A score of exactly 100, because every scenario compares an image with itself."""

    face_model_version: str = "3.0"

    def check(self, outcome: Outcome) -> None:
        assert (outcome.ok, outcome.code, outcome.message) == (True, "", "")
        assert (outcome.score, outcome.face_model_version) == (100.0, self.face_model_version)


@dataclass(frozen=True)
class Failure:
    """An exception of the client with this code and a matching message."""

    code: ErrorCode
    message: str = ".+"

    def check(self, outcome: Outcome) -> None:
        assert not outcome.ok
        assert outcome.exception
        assert (outcome.code, outcome.score) == (self.code.value, None)
        assert re.search(self.message, outcome.message), outcome.message


Params = Mapping[str, SampleImage | str | int]


@dataclass(frozen=True)
class Scenario:
    """One call.

    ``group`` is a column of the matrix. ``path`` is appended to the endpoint. ``job_fields`` are the fields of the job
    that differ from its defaults.
    """

    group: str
    name: str
    expected: Success | Failure
    caller: Caller
    params: Params
    path: str
    job_fields: Mapping[str, Any]

    def job(self, endpoint: str, images: Mapping[SampleImage, str], authority: str = "") -> Job:
        secret_id, secret_key, token = self.caller.value
        params = {
            name: images[value] if isinstance(value, SampleImage) else value for name, value in self.params.items()
        }
        endpoint += self.path
        return Job(self.name, endpoint, secret_id, secret_key, authority, token, params=params, **self.job_fields)


def encoded_images(images_url: str) -> Mapping[SampleImage, str]:
    """Return the parameter value of each image; ``images_url`` serves ``/astronaut.jpg``."""
    grain = np.random.default_rng(0).integers(-48, 48, (2000, 2000, 3), dtype=np.int16)
    large = np.clip(cv2.resize(astronaut(), (2000, 2000)) + grain, 0, 255).astype(np.uint8)
    files = {
        SampleImage.FACE: jpeg(astronaut()[0:250, 100:350]),
        SampleImage.LARGE: jpeg(large, quality=95),
        SampleImage.BLANK: jpeg(np.full((200, 200, 3), 90, dtype=np.uint8)),
        SampleImage.GIF: b"GIF89a",
    }
    encoded = {image: base64.b64encode(data).decode() for image, data in files.items()}
    return {**encoded, SampleImage.URL: f"{images_url}/astronaut.jpg"}


_FACES = {"ImageA": SampleImage.FACE, "ImageB": SampleImage.FACE}
_LARGE = {"ImageA": SampleImage.LARGE, "ImageB": SampleImage.LARGE}
_URLS = {"UrlA": SampleImage.URL, "UrlB": SampleImage.URL}
_NO_FACE = {"ImageA": SampleImage.FACE, "ImageB": SampleImage.BLANK}
_PARAMETERS_2020: Params = {"FaceModelVersion": "2.0", "QualityControl": 0, "NeedRotateDetection": 1}
_PARAMETERS_CURRENT: Params = {**_PARAMETERS_2020, "FaceMatchingStrategy": 0}
_SHA1, _SHA256 = "HmacSHA1", "HmacSHA256"


def _scenario(
    group: str,
    name: str,
    expected: Success | Failure | None = None,
    caller: Caller = Caller.PERMANENT,
    params: Params = _FACES,
    path: str = "",
    **job_fields: Any,
) -> Scenario:
    return Scenario(group, name, expected or Success(), caller, params, path, job_fields)


def _error(name: str, code: ErrorCode, message: str = ".", **fields: Any) -> Scenario:
    return _scenario("errors", name, Failure(code, message), **fields)


SCENARIOS = [
    _scenario("TC3 POST", "TC3 POST"),
    _scenario("TC3 POST", "TC3 POST with the generic client", untyped=True),
    _scenario("TC3 GET", "TC3 GET", params=_URLS, method="GET"),
    _scenario("HmacSHA1", "HmacSHA1 POST", sign=_SHA1),
    _scenario("HmacSHA1", "HmacSHA1 GET", params=_URLS, sign=_SHA1, method="GET"),
    _scenario("HmacSHA256", "HmacSHA256 POST", sign=_SHA256),
    _scenario("HmacSHA256", "HmacSHA256 GET", params=_URLS, sign=_SHA256, method="GET"),
    _scenario("unsigned payload", "unsigned POST", unsigned=True),
    _scenario("unsigned payload", "unsigned GET", params=_URLS, unsigned=True, method="GET"),
    _scenario("token", "token by TC3", caller=Caller.TEMPORARY),
    _scenario("token", "token by HmacSHA1", caller=Caller.TEMPORARY, sign=_SHA1),
    _scenario("token", "token by HmacSHA256", caller=Caller.TEMPORARY, sign=_SHA256),
    _scenario("2018-03-01", "2018-03-01 by TC3", version="2018-03-01"),
    _scenario("2018-03-01", "2018-03-01 by HmacSHA1", version="2018-03-01", sign=_SHA1),
    _scenario("parameters", "parameters of 2020", Success("2.0"), params={**_FACES, **_PARAMETERS_2020}),
    _scenario("parameters", "current parameters", Success("2.0"), params={**_FACES, **_PARAMETERS_CURRENT}),
    _scenario(
        "parameters", "parameters by TC3 GET", Success("2.0"), params={**_URLS, **_PARAMETERS_2020}, method="GET"
    ),
    _scenario(
        "parameters", "parameters by HmacSHA1", Success("2.0"), params={**_FACES, **_PARAMETERS_2020}, sign=_SHA1
    ),
    _scenario("endpoint with a path", "path by TC3", path="/iai"),
    _scenario("endpoint with a path", "path by TC3 GET", params=_URLS, path="/iai", method="GET"),
    _scenario("endpoint with a path", "path by HmacSHA1", path="/iai", sign=_SHA1),
    _scenario("large images", "8 MB by TC3", params=_LARGE),
    _scenario(
        "large images",
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
    _error(
        "not an image", ErrorCode.IMAGE_DECODE_FAILED, params={"ImageA": SampleImage.FACE, "ImageB": SampleImage.GIF}
    ),
    _error(
        "no face, in Chinese",
        ErrorCode.NO_FACE_IN_PHOTO,
        "^图片中没有人脸。（图片B）$",
        params=_NO_FACE,
        language="zh-CN",
    ),
    _error(
        "no face, in English",
        ErrorCode.NO_FACE_IN_PHOTO,
        r"^There are no faces in the image\. \(image B\)$",
        params=_NO_FACE,
        language="en-US",
    ),
    _error(
        "no face, in English by HmacSHA1",
        ErrorCode.NO_FACE_IN_PHOTO,
        r"^There are no faces in the image\. \(image B\)$",
        params=_NO_FACE,
        language="en-US",
        sign=_SHA1,
    ),
    _error(
        "rate limit, in Chinese",
        ErrorCode.REQUEST_LIMIT_EXCEEDED,
        r"^您当前每秒请求 `\d` 次，超过了每秒频率上限 `1`，请稍后重试。$",
        caller=Caller.RATE_LIMITED,
        language="zh-CN",
        times=6,
    ),
    _error(
        "rate limit, in English",
        ErrorCode.REQUEST_LIMIT_EXCEEDED,
        r"^Your current request times equals to `\d` in a second, which exceeds the frequency limit `1` for a second\.",
        caller=Caller.RATE_LIMITED,
        language="en-US",
        times=6,
    ),
    _scenario("retry", "retry", caller=Caller.RETRYING, times=3, attempts=2),
]
