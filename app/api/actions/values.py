"""Parameters that several actions have: their descriptions, and the judgement of their values."""

from __future__ import annotations

from typing import Annotated, NoReturn

from pydantic import Field
from pydantic.config import JsonDict

from app.domain import FaceModelVersion
from app.errors import ApiError, ErrorCode, Text
from app.imaging.source import MAX_CHARACTERS

# What fields say about their values goes into the OpenAPI document. Values are judged by the actions, with the
# vendor's codes.
MODEL_VERSIONS: JsonDict = {"enum": [version.value for version in FaceModelVersion]}
SWITCH: JsonDict = {"enum": [0, 1]}
Base64 = Annotated[
    str,
    Field(
        description="Base64 of the picture: JPEG, PNG or BMP; sides of 64 to 4000 pixels (PNG, BMP: 2000).",
        json_schema_extra={"contentEncoding": "base64", "maxLength": MAX_CHARACTERS},
    ),
]
Url = Annotated[
    str,
    Field(
        description="Where to fetch the picture: http or https. Counts where the Image is given, too.",
        json_schema_extra={"format": "uri"},
    ),
]
Rotate = Annotated[
    int,
    Field(
        description="1 looks for faces that lie on their side or upside down, too.",
        json_schema_extra=SWITCH,
    ),
]


def zero_or_one(name: str, value: int) -> int:
    """Return ``value``; raise ``InvalidParameter.InvalidParameter`` for any other."""
    if value not in (0, 1):
        illegal(name, Text("0 or 1", "0 或 1"))
    return value


def illegal(name: str, allowed: Text) -> NoReturn:
    """Refuse the value of ``name``, which is to be ``allowed``."""
    raise ApiError(
        ErrorCode.PARAMETER_ILLEGAL,
        Text(f"Invalid parameter: `{name}` is {allowed.en}.", f"参数不合法：`{name}` 的取值应为 {allowed.zh}。"),
    )
