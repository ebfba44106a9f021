"""CloudRequest: one HTTP request as received, and its common parameters (vendor document "Common Params").

In: method, raw query, headers, raw body. Out: the values of the ``X-TC-*`` headers, or ``MissingParameter``.
``X-TC-Region`` and ``X-TC-Token`` mean nothing to a self-hosted service and are not read. Verification needs the
bytes as they came, so nothing is decoded, sorted or unquoted here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from app.errors import ApiError, ErrorCode, Text

_TRACE_ID = re.compile(r"[\x21-\x7e]{1,128}")
_SHOWN_LENGTH = 64


@dataclass(frozen=True, slots=True)
class CloudRequest:
    """One request.

    ``headers`` has lower-case names; its values and ``query`` are decoded as latin-1, so that encoding them
    gives the received bytes. ``body`` is empty until it has been read, and always for GET.
    """

    method: str
    query: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)

    def with_body(self, body: bytes) -> CloudRequest:
        return replace(self, body=body)

    @property
    def action(self) -> str:
        return self._required("x-tc-action", "Action")

    @property
    def version(self) -> str:
        return self._required("x-tc-version", "Version")

    @property
    def timestamp(self) -> str:
        return self._required("x-tc-timestamp", "Timestamp")

    @property
    def authorization(self) -> str:
        return self._required("authorization", "Authorization")

    @property
    def is_chinese(self) -> bool:
        """Whether messages are wanted in Chinese; English is the gateway's default."""
        return self.headers.get("x-tc-language", "").lower() == "zh-cn"

    @property
    def trace_id(self) -> str:
        """What the caller wants echoed; empty where it is absent or not fit for a header."""
        sent = self.headers.get("x-tc-traceid", "")
        return sent if _TRACE_ID.fullmatch(sent) else ""

    def _required(self, header: str, name: str) -> str:
        value = self.headers.get(header, "").strip()
        if not value:
            raise ApiError(
                ErrorCode.MISSING_PARAMETER,
                Text(f"The request is missing a required parameter `{name}`.", f"请求缺少必选参数 `{name}`。"),
            )
        return value


def shown(name: str) -> str:
    """Return a caller's word so that it may stand in a message or a log line: short and printable."""
    return "".join(character if character.isprintable() else "?" for character in name[:_SHOWN_LENGTH])
