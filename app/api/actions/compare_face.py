"""CompareFace (iai 2020-03-03 and 2018-03-01): two pictures in, how alike their faces are out.

Values are judged in this order: FaceModelVersion, QualityControl, NeedRotateDetection, FaceMatchingStrategy. The
pictures are the service's business.
"""

from __future__ import annotations

from typing import Annotated, NoReturn

from pydantic import Field
from pydantic.config import JsonDict

from app.api.actions.base import Action, RequestModel, ResponseModel
from app.api.engine import Service
from app.api.keys import Caller
from app.domain import FaceModelVersion, ImageRef, MatchingStrategy, Options
from app.errors import ApiError, ErrorCode, Text
from app.imaging.source import MAX_CHARACTERS
from app.ops.deadline import Deadline

_QUALITY_LEVELS = range(5)
_NO_QUALITY_CONTROL = Text(
    "This release does not judge picture quality. Send QualityControl=0 or leave the parameter out.",
    "当前版本暂不支持图片质量控制，请将 QualityControl 设为 0 或不传该参数。",
)
# What fields say about their values goes into the OpenAPI document. Values are judged below, with the vendor's codes.
_MODEL_VERSIONS: JsonDict = {"enum": [version.value for version in FaceModelVersion]}
_LEVEL: JsonDict = {"enum": list(_QUALITY_LEVELS)}
_SWITCH: JsonDict = {"enum": [0, 1]}
_Image = Annotated[
    str,
    Field(
        description="Base64 of the picture: JPEG, PNG or BMP; sides of 64 to 4000 pixels (PNG, BMP: 2000).",
        json_schema_extra={"contentEncoding": "base64", "maxLength": MAX_CHARACTERS},
    ),
]
_Url = Annotated[
    str,
    Field(
        description="Where to fetch the picture: http or https. Counts where the Image is given, too.",
        json_schema_extra={"format": "uri"},
    ),
]


class CompareFaceResponse(ResponseModel):
    """How alike the faces of the two pictures are."""

    score: float = Field(
        description="100 for identical pictures. Different people reach 40, 50 and 60 (version 2.0: 70, 80 and 90) in "
        "0.1 %, 0.01 % and 0.001 % of all pairs.",
        json_schema_extra={"minimum": 0, "maximum": 100, "examples": [43.15762039906064]},
    )
    face_model_version: str = Field(description="The scale of the score.", json_schema_extra=_MODEL_VERSIONS)


class CompareFace20180301(RequestModel):
    """Two pictures, A and B, each an Image or a Url."""

    image_a: _Image = ""
    image_b: _Image = ""
    url_a: _Url = ""
    url_b: _Url = ""
    face_model_version: str | None = Field(
        None,
        description="The scale of the score; 3.0 where it is absent, if the operator set no other for the caller.",
        json_schema_extra=_MODEL_VERSIONS,
    )
    quality_control: int = Field(
        0,
        description="The quality asked of the pictures: 0 none, 1 low, 2 average, 3 high, 4 very high. This release "
        "does not judge quality: 1 to 4 are answered `UnsupportedOperation`.",
        json_schema_extra=_LEVEL,
    )
    need_rotate_detection: int = Field(
        0,
        description="1 looks for faces that lie on their side or upside down, too.",
        json_schema_extra=_SWITCH,
    )

    async def perform(self, service: Service, caller: Caller, deadline: Deadline) -> CompareFaceResponse:
        options = self.options(caller)
        comparison = await service.compare(
            ImageRef(self.image_a, self.url_a), ImageRef(self.image_b, self.url_b), options, deadline
        )
        return CompareFaceResponse(score=comparison.score, face_model_version=comparison.face_model_version.value)

    def options(self, caller: Caller) -> Options:
        """Return what is asked for; raise ``ApiError`` for a value unknown or not allowed."""
        version = caller.face_model_version(self.face_model_version)
        if self.quality_control not in _QUALITY_LEVELS:
            raise ApiError(ErrorCode.QUALITY_CONTROL_ILLEGAL)
        rotate = bool(_zero_or_one("NeedRotateDetection", self.need_rotate_detection))
        strategy = self.matching_strategy()
        if self.quality_control:
            # Ignoring it would let through pictures that the caller wants refused.
            raise ApiError(ErrorCode.UNSUPPORTED_OPERATION, _NO_QUALITY_CONTROL)
        return Options(version, strategy, rotate)

    def matching_strategy(self) -> MatchingStrategy | None:
        """Return the face to take from a picture; None leaves it to the server."""
        return None


class CompareFace20200303(CompareFace20180301):
    """Two pictures, A and B, each an Image or a Url, and which face of each."""

    face_matching_strategy: int | None = Field(
        None,
        description="The face to take of several: 0 the most confident, 1 the largest; where it is absent, what "
        "`COMPAREFACE_COMPARE__MATCHING_STRATEGY` says.",
        json_schema_extra=_SWITCH,
    )

    def matching_strategy(self) -> MatchingStrategy | None:
        if self.face_matching_strategy is None:
            return None
        return MatchingStrategy(_zero_or_one("FaceMatchingStrategy", self.face_matching_strategy))


COMPARE_FACE = Action("CompareFace", {"2020-03-03": CompareFace20200303, "2018-03-01": CompareFace20180301})


def _zero_or_one(name: str, value: int) -> int:
    if value not in (0, 1):
        _illegal(name)
    return value


def _illegal(name: str) -> NoReturn:
    raise ApiError(
        ErrorCode.PARAMETER_ILLEGAL,
        Text(f"Invalid parameter: `{name}` is 0 or 1.", f"参数不合法：`{name}` 的取值应为 0 或 1。"),
    )
