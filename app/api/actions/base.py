"""What an action is, which one a request asks for, and how its parameters become a model.

In: action name, version, parameters by name. Out: a frozen :class:`RequestModel`, or an ``ApiError`` with the
gateway's own texts. Values are typed here; what they mean is judged by the action.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_pascal

from app.api.auth.keys import Caller
from app.api.request import shown
from app.errors import ApiError, ErrorCode, Text
from app.ops.stage_timer import StageTimer
from app.service.services import Services

_INTEGER = re.compile(r"-?[0-9]{1,18}")


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
    """What an action answers, or a part of it; all fields are always there."""

    model_config = ConfigDict(validate_by_name=True, json_schema_serialization_defaults_required=True)


class RequestModel(WireModel, ABC):
    """An action's parameters in one version of the API, and what is done with them."""

    model_config = ConfigDict(hide_input_in_errors=True)

    @abstractmethod
    async def perform(self, services: Services, caller: Caller, timer: StageTimer) -> ResponseModel:
        """QualityGate the values, call the service, put its answer into the wire's words."""


@dataclass(frozen=True, slots=True)
class Action:
    """A name and its parameters in each version."""

    name: str
    models: Mapping[str, type[RequestModel]]


class Found(NamedTuple):
    """An action by its exact name, and its parameters in the version that was asked for."""

    name: str
    model: type[RequestModel]


def find_action(actions: Iterable[Action], name: str, version: str) -> Found:
    """Return the action; Go and Node send the name as given, so its first letter may be small."""
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
    return Found(name, models[name][version])


def bind(model: type[RequestModel], values: Mapping[str, object], *, is_text: bool, is_lenient: bool) -> RequestModel:
    """Return the parameters as a model.

    ``is_text``: the values come from a query, a form or a multipart body, where integers are text. ``is_lenient``:
    unknown names are ignored, and JSON values are read as if they were text.
    """
    integers = {str(field.alias): _is_integer(field.annotation) for field in model.model_fields.values()}
    unknown = [name for name in values if name not in integers]
    if unknown and not is_lenient:
        name = shown(unknown[0])
        raise ApiError(
            ErrorCode.UNKNOWN_PARAMETER,
            Text(f"The parameter `{name}` is not recognized.", f"参数 `{name}` 未定义。"),
        )
    known = {name: value for name, value in values.items() if name in integers}
    if is_text or is_lenient:
        known = {name: _from_text(value, integers[name]) for name, value in known.items()}
    try:
        return model.model_validate(known)
    except ValidationError as error:
        name = str(error.errors(include_url=False, include_context=False, include_input=False)[0]["loc"][0])
        raise ApiError(
            ErrorCode.INVALID_PARAMETER,
            Text(f"The value type of parameter `{name}` is not valid.", f"参数 `{name}` 取值类型错误。"),
        ) from error


def _is_integer(annotation: object) -> bool:
    return annotation is int or set(get_args(annotation)) == {int, NoneType}


def _from_text(value: object, is_integer: bool) -> object:
    """Return the value that a scalar's text stands for; whatever is not of the wanted type stays what it is."""
    if isinstance(value, bool | list | dict):
        return value
    text = str(value)
    return int(text) if is_integer and _INTEGER.fullmatch(text) else text
