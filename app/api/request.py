"""CloudRequest: one HTTP request as received, and its common parameters (vendor document "Common Params").

TC3 sends the common parameters as ``X-TC-*`` headers, signature v1 in the query or form. ``Region`` and
``RequestClient`` have no effect and are not read. Signature verification needs the received bytes, so no value is
decoded, sorted or unquoted in place.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from starlette.requests import Request

from app.errors import ApiError, ErrorCode, Text

FORM = "application/x-www-form-urlencoded"
SKIP = "SKIP"
"""``Authorization: SKIP``, an option of the SDKs that sends no signature."""

_ABSENT = re.compile(r"\s*+(undefined|null|none|nil)?\s*+", re.IGNORECASE)  # without backtracking: linear time
_TRACE_ID = re.compile(r"[\x21-\x7e]{1,128}")
_MAX_PRINTABLE_LENGTH = 64
_EMPTY_SHA256 = hashlib.sha256().hexdigest()


@dataclass(frozen=True, slots=True)
class CloudRequest:
    """One request.

    ``headers`` has lower-case names. Header values, ``path`` and ``query`` are decoded as latin-1: encoding them
    gives the received bytes. ``body`` is empty until it is read, and stays empty with signature v1. ``body_sha256``
    is its digest in hex, or empty if the request is not signed. ``v1_parameters`` has all parameters of a request
    with signature v1 once they are read, otherwise None.
    """

    method: str
    path: str
    query: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    body_sha256: str = field(default=_EMPTY_SHA256, repr=False)
    v1_parameters: Mapping[str, str] | None = field(default=None, repr=False)

    @classmethod
    def received(cls, http: Request) -> Self:
        """Return the request without its body."""
        values: dict[str, list[str]] = {}
        for name, value in http.headers.items():
            values.setdefault(name, []).append(value)
        # RFC 9110 section 5.3: repeated headers are one value. Two signatures are thus not valid.
        headers = {name: ", ".join(repeated) for name, repeated in values.items()}
        path = http.scope.get("raw_path") or http.scope["path"].encode()
        query = http.scope["query_string"]
        return cls(http.method, path.decode("latin-1"), query.decode("latin-1"), headers)

    @property
    def media_type(self) -> str:
        """Content-Type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def is_v1(self) -> bool:
        """Whether the request uses signature v1: a query or form without TC3 headers."""
        if "x-tc-action" in self.headers or self.authorization.startswith(("TC3-", SKIP)):
            return False
        return self.method == "GET" or self.media_type == FORM

    @property
    def timestamp(self) -> str:
        """Unix time of the signature; raise ``MissingParameter`` if it is absent."""
        return self.required("Timestamp")

    @property
    def is_chinese(self) -> bool:
        """Whether the client asks for messages in Chinese. The default is English."""
        return self.common("Language").lower() == "zh-cn"

    @property
    def trace_id(self) -> str:
        """Trace ID to echo in the reply; empty if absent or not valid in a header."""
        trace_id = self.headers.get("x-tc-traceid", "")
        return trace_id if _TRACE_ID.fullmatch(trace_id) else ""

    @property
    def authorization(self) -> str:
        """The Authorization header; empty if absent."""
        return self.headers.get("authorization", "").strip()

    def common(self, name: str) -> str:
        """Return a common parameter by its documented name; empty if absent, see :func:`is_absent`."""
        if self.v1_parameters is not None:
            value = self.v1_parameters.get(name, "")
        else:
            value = self.headers.get(f"x-tc-{name.lower()}", "")
        return "" if is_absent(value) else value.strip()

    def required(self, name: str) -> str:
        """Return a common parameter; raise ``MissingParameter`` if it is absent."""
        if value := self.common(name):
            return value
        raise missing_parameter(name)


def is_absent(text: str) -> bool:
    """Return whether a client serialised an absent value as ``text``: empty, or the null value of its language.

    The Node SDK sends `X-TC-Token: undefined` for `token: undefined`, and `QualityControl=` in a query.
    """
    return _ABSENT.fullmatch(text) is not None


def missing_parameter(name: str) -> ApiError:
    text = Text(f"The request is missing a required parameter `{name}`.", f"请求缺少必选参数 `{name}`。")
    return ApiError(ErrorCode.MISSING_PARAMETER, text)


def wrong_type(name: str) -> ApiError:
    text = Text(f"The value type of parameter `{name}` is not valid.", f"参数 `{name}` 取值类型错误。")
    return ApiError(ErrorCode.INVALID_PARAMETER, text)


def printable(text: str) -> str:
    """Return client text that is safe in a message or log line: short, and printable characters only."""
    return "".join(character if character.isprintable() else "?" for character in text[:_MAX_PRINTABLE_LENGTH])
