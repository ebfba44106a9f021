"""What an action is, which one a request asks for, and how its parameters become a model.

In: action name, version, query or JSON bytes. Out: a frozen :class:`RequestModel`, or an ``ApiError`` with the
gateway's own texts. Values are typed here; what they mean is judged by the action.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, NoReturn, TypeAlias, TypeVar
from urllib.parse import parse_qsl

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_pascal

from app.api.engine import Service
from app.api.request import CloudRequest, shown
from app.errors import ApiError, ErrorCode, Text
from app.ops.deadline import Deadline

_T = TypeVar("_T")

# No action has nested parameters. The bound keeps depth and number of values small before anything is parsed.
_MAX_JSON_PARTS = 256

_NOT_JSON = Text(
    "The request body is not a valid JSON object, as content-type=application/json requires.",
    "对于指定content-type=application/json协议下，请求内容不是合法的Json格式。",
)
_NOT_A_QUERY = Text(
    "Url key and value should be splited by `=`.",
    "请求的 Query 格式错误，参数名与参数值之间应以 `=` 分隔。",
)


def _encodable(value: str) -> str:
    if not value.isascii():
        value.encode()  # half of a surrogate pair, which JSON can escape, is no text; the error is a ValueError
    return value


WireText: TypeAlias = Annotated[str, AfterValidator(_encodable)]
"""Text that UTF-8 can carry."""


class WireModel(BaseModel):
    """A frozen value of the wire: ``image_a`` in Python, ``ImageA`` outside."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        alias_generator=to_pascal,
        validate_by_name=True,
        validate_by_alias=True,
    )


class ResponseModel(WireModel):
    """What an action answers."""

    model_config = ConfigDict(validate_by_name=True)


class RequestModel(WireModel, ABC):
    """An action's parameters in one version of the API, and what is done with them."""

    model_config = ConfigDict(hide_input_in_errors=True)

    @abstractmethod
    async def perform(self, service: Service, deadline: Deadline) -> ResponseModel:
        """Judge the values, call the service, put its answer into the wire's words."""


@dataclass(frozen=True, slots=True)
class Action:
    """A name and its parameters in each version."""

    name: str
    models: Mapping[str, type[RequestModel]]


def find_model(actions: Iterable[Action], name: str, version: str) -> type[RequestModel]:
    """Return the action's model; Go and Node send the name as given, so its first letter may be small."""
    models = {action.name: action.models for action in actions}
    if not any(version in versions for versions in models.values()):
        raise ApiError(
            ErrorCode.NO_SUCH_VERSION,
            Text(
                f"The specified api version=`{shown(version)}` does not exist in service=`iai`.",
                f"服务 `iai` 不存在接口版本 `{shown(version)}`。",
            ),
        )
    name = name[:1].upper() + name[1:]
    if version not in models.get(name, ()):
        raise ApiError(ErrorCode.INVALID_ACTION)
    return models[name][version]


def parse_parameters(request: CloudRequest, model: type[RequestModel]) -> RequestModel:
    """Return the request's parameters: those of the query (GET) or of the JSON body (POST)."""
    is_get = request.method == "GET"
    values = _from_query(request.query) if is_get else _from_json(request.body)
    names = {field.alias for field in model.model_fields.values()}
    for name in values:
        if name not in names:
            _refuse(f"The parameter `{shown(name)}` is not recognized.", f"参数 `{shown(name)}` 未定义。", unknown=True)
    try:
        return model.model_validate_strings(values) if is_get else model.model_validate(values)
    except ValidationError as error:
        name = str(error.errors(include_url=False, include_context=False, include_input=False)[0]["loc"][0])
        _refuse(f"The value type of parameter `{name}` is not valid.", f"参数 `{name}` 取值类型错误。")


def _from_json(body: bytes) -> dict[str, object]:
    """Return the members of the object ``body``; one that is null counts as absent."""
    if sum(map(body.count, (b"{", b"[", b","))) > _MAX_JSON_PARTS:
        raise ApiError(ErrorCode.INVALID_PARAMETER, _NOT_JSON)
    try:
        values = json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except ValueError as error:
        raise ApiError(ErrorCode.INVALID_PARAMETER, _NOT_JSON) from error
    if not isinstance(values, dict):
        raise ApiError(ErrorCode.INVALID_PARAMETER, _NOT_JSON)
    return {name: value for name, value in values.items() if value is not None}


def _from_query(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), errors="strict")
    except ValueError as error:
        raise ApiError(ErrorCode.INVALID_PARAMETER, _NOT_A_QUERY) from error
    return _unique(pairs)


def _unique(pairs: list[tuple[str, _T]]) -> dict[str, _T]:
    values: dict[str, _T] = {}
    for name, value in pairs:
        if name in values:
            _refuse(f"The parameter `{shown(name)}` is given more than once.", f"参数 `{shown(name)}` 重复。")
        values[name] = value
    return values


def _no_constant(_: str) -> NoReturn:
    raise ValueError("JSON has neither NaN nor Infinity")


def _refuse(en: str, zh: str, *, unknown: bool = False) -> NoReturn:
    raise ApiError(ErrorCode.UNKNOWN_PARAMETER if unknown else ErrorCode.INVALID_PARAMETER, Text(en, zh))
