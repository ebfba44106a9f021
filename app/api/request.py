"""CloudRequest: one HTTP request as received, and its common parameters (vendor document "Common Params").

In: method, path, raw query, headers, raw body. Out: ``Action``, ``Version``, ``Timestamp`` and the like, wherever the
dialect carries them: signature version 3 in ``X-TC-*`` headers, version 1 among the parameters of query or form.
``Region`` and ``RequestClient`` mean nothing to a self-hosted service and are not read. Verification needs the bytes as
they came, so nothing is decoded, sorted or unquoted in place.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from app.errors import ApiError, ErrorCode, Text

FORM = "application/x-www-form-urlencoded"

_TRACE_ID = re.compile(r"[\x21-\x7e]{1,128}")
_SHOWN_LENGTH = 64
_OF_NOTHING = hashlib.sha256().hexdigest()


@dataclass(frozen=True, slots=True)
class CloudRequest:
    """One request.

    ``headers`` has lower-case names; its values, ``path`` and ``query`` are decoded as latin-1, so that encoding them
    gives the received bytes. ``body`` is empty until it has been read, and always for GET; ``body_sha256`` is its
    digest in hex, where a signature needs it, else nothing. ``v1`` are all parameters of a request in the older
    dialect, once they are known; None in the newer one.
    """

    method: str
    path: str
    query: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    body_sha256: str = field(default=_OF_NOTHING, repr=False)
    v1: Mapping[str, str] | None = field(default=None, repr=False)

    def with_body(self, body: bytes, sha256: str) -> CloudRequest:
        return replace(self, body=body, body_sha256=sha256)

    def with_v1(self, parameters: Mapping[str, str]) -> CloudRequest:
        return replace(self, v1=parameters)

    @property
    def media_type(self) -> str:
        """Content-Type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def speaks_v1(self) -> bool:
        """Whether it can only be of the older dialect: nothing of the newer one, and a query or a form."""
        if "x-tc-action" in self.headers or self.headers.get("authorization", "").startswith(("TC3-", "SKIP")):
            return False
        return self.method == "GET" or self.media_type == FORM

    @property
    def action(self) -> str:
        return self.required("Action")

    @property
    def version(self) -> str:
        return self.required("Version")

    @property
    def timestamp(self) -> str:
        return self.required("Timestamp")

    @property
    def token(self) -> str:
        """What temporary credentials carry; empty for permanent ones."""
        return self.common("Token")

    @property
    def is_chinese(self) -> bool:
        """Whether messages are wanted in Chinese; English is the gateway's default."""
        return self.common("Language").lower() == "zh-cn"

    @property
    def trace_id(self) -> str:
        """What the caller wants echoed; empty where it is absent or not fit for a header."""
        sent = self.headers.get("x-tc-traceid", "")
        return sent if _TRACE_ID.fullmatch(sent) else ""

    def common(self, name: str) -> str:
        """Return a common parameter by its documented name; empty where it is absent."""
        value = self.headers.get(f"x-tc-{name.lower()}", "") if self.v1 is None else self.v1.get(name, "")
        return value.strip()

    def required(self, name: str) -> str:
        """Return a common parameter; raise ``MissingParameter`` where it is absent."""
        return _present(name, self.common(name))

    @property
    def authorization(self) -> str:
        """The header that signs a request of the newer dialect."""
        return _present("Authorization", self.headers.get("authorization", "").strip())


def _present(name: str, value: str) -> str:
    if not value:
        raise ApiError(
            ErrorCode.MISSING_PARAMETER,
            Text(f"The request is missing a required parameter `{name}`.", f"请求缺少必选参数 `{name}`。"),
        )
    return value


def shown(name: str) -> str:
    """Return a caller's word so that it may stand in a message or a log line: short and printable."""
    return "".join(character if character.isprintable() else "?" for character in name[:_SHOWN_LENGTH])
