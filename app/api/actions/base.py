"""Actions: their models, finding one by name and version, and converting parameters to its request model.

In: action name, version, and parameters by name. Out: a frozen :class:`RequestModel`, or ``ApiError`` with the vendor's
texts. This module checks names and types; the action checks values.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_pascal

from app.api.auth.keys import Caller
from app.api.request import is_absent, printable, wrong_type
from app.errors import ApiError, ErrorCode, Text
from app.ops.stage_timer import StageTimer
from app.service.services import Services

_INTEGER = re.compile(r"-?[0-9]{1,18}")


class WireModel(BaseModel):
    """A frozen value of the API: ``image_a`` in Python, ``ImageA`` in requests and replies."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", alias_generator=to_pascal, validate_by_name=True
    )


class ResponseModel(WireModel):
    """The response of an action, or a part of it. No field is optional."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class RequestModel(WireModel, ABC):
    """The parameters of an action in one version of the API."""

    model_config = ConfigDict(hide_input_in_errors=True)

    @abstractmethod
    async def perform(self, services: Services, caller: Caller, timer: StageTimer) -> ResponseModel:
        """Check the values, call the service, and convert its result to the response."""


@dataclass(frozen=True, slots=True)
class Action:
    """The name of an action and its parameters in each version."""

    name: str
    models: Mapping[str, type[RequestModel]]


def find_action(actions: Iterable[Action], name: str, version: str) -> tuple[str, type[RequestModel]]:
    """Return an action's name and its request model; raise ``NoSuchVersion`` or ``InvalidAction``.

    The first letter of ``name`` may be lower case: the Go and Node SDKs send the name as written by their user.
    """
    models = {action.name: action.models for action in actions}
    if not any(version in versions for versions in models.values()):
        text = Text(
            f"The specified api version=`{printable(version)}` does not exist in service=`iai`.",
            f"服务 `iai` 不存在接口版本 `{printable(version)}`。",
        )
        raise ApiError(ErrorCode.NO_SUCH_VERSION, text)
    name = name[:1].upper() + name[1:]
    if version not in models.get(name, ()):
        raise ApiError(ErrorCode.INVALID_ACTION)
    return name, models[name][version]


def bind(model: type[RequestModel], values: Mapping[str, object], *, is_text: bool, is_lenient: bool) -> RequestModel:
    """Return the parameters as a model; raise ``UnknownParameter`` or ``InvalidParameter``.

    ``is_text``: all values are text; those of integer fields are converted. ``is_lenient``: unknown names are ignored,
    and JSON values are converted, too. Absent values are left out: text by ``is_absent``, strings in JSON if empty.
    """
    is_integer_by_name = {str(field.alias): _is_integer(field.annotation) for field in model.model_fields.values()}
    unknown = [name for name in values if name not in is_integer_by_name]
    if unknown and not is_lenient:
        name = printable(unknown[0])
        text = Text(f"The parameter `{name}` is not recognized.", f"参数 `{name}` 未定义。")
        raise ApiError(ErrorCode.UNKNOWN_PARAMETER, text)
    known = {
        name: value
        for name, value in values.items()
        if name in is_integer_by_name and not _is_absent(value, is_text=is_text, is_integer=is_integer_by_name[name])
    }
    if is_text or is_lenient:
        known = {name: _from_text(value, is_integer_by_name[name]) for name, value in known.items()}
    try:
        return model.model_validate(known)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise wrong_type(str(first["loc"][0])) from error


def _is_integer(annotation: object) -> bool:
    return annotation is int or set(get_args(annotation)) == {int, NoneType}


def _is_absent(value: object, *, is_text: bool, is_integer: bool) -> bool:
    return is_absent(str(value)) if is_text else value == "" and not is_integer


def _from_text(value: object, is_integer: bool) -> object:
    """Convert a scalar to an integer if its field and its text permit that, else to text."""
    if isinstance(value, bool | list | dict):
        return value
    text = str(value)
    return int(text) if is_integer and _INTEGER.fullmatch(text) else text
