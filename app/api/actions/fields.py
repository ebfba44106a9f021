"""Parameters shared by several actions: their types, descriptions, and checks of their values."""

from typing import Annotated, NoReturn

from pydantic import Field
from pydantic.config import JsonDict

from app.domain import FaceModelVersion
from app.errors import ApiError, ErrorCode, Text
from app.imaging.source import MAX_BASE64_CHARACTERS

# `json_schema_extra` only documents the values in OpenAPI. The actions check them and raise the vendor's codes.
MODEL_VERSIONS: JsonDict = {"enum": [version.value for version in FaceModelVersion]}
REQUESTED_MODEL_VERSIONS: JsonDict = {"enum": [*(version.value for version in FaceModelVersion), ""]}
"""Empty selects the default."""
ZERO_OR_ONE: JsonDict = {"enum": [0, 1]}
ONE_IS_TRUE: JsonDict = {"examples": [1]}
"""1 is on, every other integer off."""
Base64 = Annotated[
    str,
    Field(
        description="The image in base64: JPEG, PNG or BMP. Each side has 64 to 4000 pixels (PNG, BMP: 64 to 2000).",
        json_schema_extra={"contentEncoding": "base64", "maxLength": MAX_BASE64_CHARACTERS},
    ),
]
Url = Annotated[
    str,
    Field(
        description="The http or https address of the image. It takes precedence over an inline image.",
        json_schema_extra={"format": "uri"},
    ),
]
Rotate = Annotated[
    int,
    Field(description="1 also detects faces that lie on their side or are upside down.", json_schema_extra=ZERO_OR_ONE),
]


def zero_or_one(name: str, value: int) -> int:
    """Return ``value``; raise ``InvalidParameter.InvalidParameter`` unless it is 0 or 1."""
    if value not in (0, 1):
        raise_illegal(name, Text("0 or 1", "0 或 1"))
    return value


def raise_illegal(name: str, allowed: Text) -> NoReturn:
    """Raise ``InvalidParameter.InvalidParameter`` for the parameter ``name``; ``allowed`` describes its values."""
    raise ApiError(
        ErrorCode.PARAMETER_ILLEGAL,
        Text(f"Invalid parameter: `{name}` must be {allowed.en}.", f"参数不合法：`{name}` 的取值应为 {allowed.zh}。"),
    )
