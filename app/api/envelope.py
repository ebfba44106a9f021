"""The reply: ``{"Response": {..., "RequestId": ...}}`` (vendor document "Responses"). The one place that writes bytes.

The status is 200 whatever happened, and the content type is exactly ``application/json``: with anything else the
Python SDK takes an error for a success without a score.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from app.api.request import CloudRequest
from app.errors import ApiError

NO_STORE_HEADERS = MappingProxyType({"cache-control": "no-store", "x-content-type-options": "nosniff"})
"""Headers of every reply that is not a document: nobody keeps it, and nobody takes it for something else."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back, with status 200."""

    body: bytes
    headers: Mapping[str, str]


def new_request_id() -> str:
    return str(uuid.uuid4())


def success(fields: Mapping[str, object], request: CloudRequest, request_id: str) -> Reply:
    """Return an action's answer; raise ``ValueError`` for a number that JSON does not have."""
    return _reply({**fields, "RequestId": request_id}, request)


def failure(error: ApiError, request: CloudRequest, request_id: str) -> Reply:
    message = error.message(chinese=request.is_chinese)
    return _reply({"Error": {"Code": error.code.value, "Message": message}, "RequestId": request_id}, request)


def _reply(fields: Mapping[str, object], request: CloudRequest) -> Reply:
    text = json.dumps({"Response": fields}, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    headers = {"content-type": "application/json", **NO_STORE_HEADERS}
    if request.trace_id:
        headers["x-tc-traceid"] = request.trace_id
    return Reply(text.encode(), headers)
