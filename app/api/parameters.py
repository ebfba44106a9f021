"""Bytes -> action parameters by name, from a JSON body, form, query or multipart body. No I/O.

JSON carries typed values. The other formats carry text, which ``actions/base.py`` converts to the types of the
action's model. Malformed input raises ``ApiError`` with the vendor's text.
"""

import re
from collections.abc import Iterable, Mapping

from pydantic_core import from_json as parse_json
from python_multipart.multipart import File, FormParser, parse_options_header

from app.api.auth import v1
from app.api.request import FORM, CloudRequest, printable
from app.errors import ApiError, ErrorCode, Text

_MAX_PARTS = 256
"""Largest number of values or parts, checked before parsing. No action has as many."""
_MULTIPART = "multipart/form-data"

_NOT_JSON = Text(
    "The request body is not a valid JSON object, as content-type=application/json requires.",
    "对于指定content-type=application/json协议下，请求内容不是合法的Json格式。",
)
_NOT_A_FORM = Text("Url key and value should be splited by `=`.", "请求参数格式错误，参数名与参数值之间应以 `=` 分隔。")
_NOT_UTF8 = Text("The request is not encoded in UTF-8.", "请求不是 UTF-8 编码。")
_TOO_MANY = Text("The request has too many values.", "请求包含的参数值过多。")
_BARE_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9_.]*")  # the Ruby SDK sends `Language` for an empty value
_ESCAPES = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")


def has_json_body(request: CloudRequest) -> bool:
    """Return whether the parameters are typed values in a JSON body; otherwise they are text."""
    return request.v1_parameters is None and request.method == "POST" and request.media_type not in {FORM, _MULTIPART}


def action_parameters(request: CloudRequest) -> Mapping[str, object]:
    """Return the action's parameters of a request that has its body."""
    if has_json_body(request):
        return from_json(request.body)
    if request.v1_parameters is not None:
        return {name: value for name, value in request.v1_parameters.items() if name not in v1.COMMON}
    if request.method == "GET":
        return from_form(request.query.encode("latin-1"))
    if request.media_type == FORM:
        return from_form(request.body)
    return from_multipart(request.body, request.headers["content-type"])


def from_json(body: bytes) -> dict[str, object]:
    """Return the members of the JSON object ``body``, without those that are null."""
    if _has_too_many_commas(body):  # the parser itself limits the depth
        raise ApiError(ErrorCode.INVALID_PARAMETER, _TOO_MANY)
    try:
        values = parse_json(body, allow_inf_nan=False, cache_strings="none")
    except ValueError as error:
        raise ApiError(ErrorCode.INVALID_PARAMETER, _NOT_JSON) from error
    if not isinstance(values, dict):
        raise ApiError(ErrorCode.INVALID_PARAMETER, _NOT_JSON)
    return {name: value for name, value in values.items() if value is not None}


def _has_too_many_commas(body: bytes) -> bool:
    position = -1
    for _ in range(_MAX_PARTS + 1):  # on base64, `find` is 15 times faster than `count`
        position = body.find(b",", position + 1)
        if position < 0:
            return False
    return True


def from_form(form: bytes) -> dict[str, str]:
    """Return the pairs of a query or an ``application/x-www-form-urlencoded`` body."""
    if not form:
        return {}
    if form.count(b"&") >= _MAX_PARTS:
        raise ApiError(ErrorCode.INVALID_PARAMETER, _TOO_MANY)
    return _unique(map(_pair, form.split(b"&")))


def _pair(text: bytes) -> tuple[str, str]:
    name, equals, value = text.partition(b"=")
    if not equals and not _BARE_NAME.fullmatch(name):
        raise ApiError(ErrorCode.INVALID_PARAMETER, _NOT_A_FORM)
    try:
        return _unescaped(name), _unescaped(value)
    except ValueError as error:
        raise ApiError(ErrorCode.INVALID_PARAMETER, _NOT_UTF8) from error


def _unescaped(text: bytes) -> str:
    """Decode percent escapes as UTF-8. ``urllib`` would need 180 bytes of memory for each `%` without digits."""
    spaced = text.replace(b"+", b" ")
    return _ESCAPES.sub(lambda run: bytes.fromhex(run[0].replace(b"%", b"").decode()), spaced).decode("utf-8")


def from_multipart(body: bytes, content_type: str) -> dict[str, str]:
    """Return the parts of a ``multipart/form-data`` body. File names and content types of parts are ignored."""
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not boundary or body.count(b"--" + boundary) > _MAX_PARTS:
        raise ApiError(ErrorCode.INVALID_REQUEST)
    pairs: list[tuple[bytes | None, bytes | None]] = []
    ends: list[bool] = []
    try:
        parser = FormParser(
            _MULTIPART,
            on_field=lambda field: pairs.append((field.field_name, field.value)),
            on_file=lambda file: pairs.append((file.field_name, _content(file))),
            on_end=lambda: ends.append(True),
            boundary=boundary,
            config={"MAX_MEMORY_FILE_SIZE": len(body), "UPLOAD_ERROR_ON_BAD_CTE": True},  # never write to disk
        )
        parser.write(body)
        parser.finalize()
        texts = [((name or b"").decode("utf-8"), (value or b"").decode("utf-8")) for name, value in pairs]
    except ValueError as error:
        raise ApiError(ErrorCode.INVALID_REQUEST) from error
    if not ends:
        raise ApiError(ErrorCode.INVALID_REQUEST)
    return _unique(texts)


def _content(file: File) -> bytes:
    file.file_object.seek(0)
    return file.file_object.read()


def _unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in values:
            shown = printable(name)
            text = Text(f"The parameter `{shown}` is given more than once.", f"参数 `{shown}` 重复。")
            raise ApiError(ErrorCode.INVALID_PARAMETER, text)
        values[name] = value
    return values
