"""The reply ``{"Response": {..., "RequestId": ...}}`` (vendor document "Responses").

The HTTP status is 200, also for errors. The content type is exactly ``application/json``: with any other, the Python
SDK would read an error as a success without a score.
"""

import json
import uuid
from collections.abc import Mapping
from types import MappingProxyType

from starlette.responses import Response

from app.api.request import CloudRequest
from app.errors import ApiError

NO_STORE_HEADERS = MappingProxyType({"cache-control": "no-store", "x-content-type-options": "nosniff"})
"""Headers of every reply except ``/docs``, ``/openapi.json`` and the playground: no caching, no content sniffing."""


def new_request_id() -> str:
    return str(uuid.uuid4())


def success(fields: Mapping[str, object], request: CloudRequest, request_id: str) -> Response:
    """Return the reply with an action's response; raise ``ValueError`` for NaN or infinity."""
    return _reply({**fields, "RequestId": request_id}, request)


def failure(error: ApiError, request: CloudRequest, request_id: str) -> Response:
    """Return the reply for an error, in the language of the request."""
    fields = {"Code": error.code.value, "Message": error.message(chinese=request.is_chinese)}
    return _reply({"Error": fields, "RequestId": request_id}, request)


def _reply(fields: Mapping[str, object], request: CloudRequest) -> Response:
    text = json.dumps({"Response": fields}, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    headers = {"content-type": "application/json", **NO_STORE_HEADERS}
    if request.trace_id:
        headers["x-tc-traceid"] = request.trace_id
    return Response(text, headers=headers)
