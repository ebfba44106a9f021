"""CompareFace (iai 2020-03-03 and 2018-03-01): two pictures in, how alike their faces are out.

Values are judged in this order: FaceModelVersion, QualityControl, NeedRotateDetection, FaceMatchingStrategy. The
pictures are the service's business.
"""

from __future__ import annotations

from typing import NoReturn

from app.api.actions.base import Action, RequestModel, ResponseModel, WireText
from app.api.engine import Service
from app.domain import FaceModelVersion, ImageRef, MatchingStrategy, Options
from app.errors import ApiError, ErrorCode, Text
from app.ops.deadline import Deadline

_QUALITY_LEVELS = range(5)
_NO_QUALITY_CONTROL = Text(
    "This release does not judge picture quality. Send QualityControl=0 or leave the parameter out.",
    "当前版本暂不支持图片质量控制，请将 QualityControl 设为 0 或不传该参数。",
)


class CompareFaceResponse(ResponseModel):
    """The answer of both versions."""

    score: float
    face_model_version: str


class CompareFace20180301(RequestModel):
    """Parameters of version 2018-03-01."""

    image_a: WireText = ""
    image_b: WireText = ""
    url_a: WireText = ""
    url_b: WireText = ""
    face_model_version: str = FaceModelVersion.V3.value
    quality_control: int = 0
    need_rotate_detection: int = 0

    async def perform(self, service: Service, deadline: Deadline) -> CompareFaceResponse:
        options = self.options()
        comparison = await service.compare(
            ImageRef(self.image_a, self.url_a), ImageRef(self.image_b, self.url_b), options, deadline
        )
        return CompareFaceResponse(score=comparison.score, face_model_version=comparison.face_model_version.value)

    def options(self) -> Options:
        """Return what the caller asks for; raise ``ApiError`` for a value that does not exist or is not offered."""
        version = _face_model_version(self.face_model_version)
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
    """Parameters of version 2020-03-03."""

    face_matching_strategy: int | None = None

    def matching_strategy(self) -> MatchingStrategy | None:
        if self.face_matching_strategy is None:
            return None
        return MatchingStrategy(_zero_or_one("FaceMatchingStrategy", self.face_matching_strategy))


COMPARE_FACE = Action("CompareFace", {"2020-03-03": CompareFace20200303, "2018-03-01": CompareFace20180301})


def _face_model_version(value: str) -> FaceModelVersion:
    try:
        return FaceModelVersion(value)
    except ValueError as error:
        raise ApiError(ErrorCode.FACE_MODEL_VERSION_ILLEGAL) from error


def _zero_or_one(name: str, value: int) -> int:
    if value not in (0, 1):
        _illegal(name)
    return value


def _illegal(name: str) -> NoReturn:
    raise ApiError(
        ErrorCode.PARAMETER_ILLEGAL,
        Text(f"Invalid parameter: `{name}` is 0 or 1.", f"参数不合法：`{name}` 的取值应为 0 或 1。"),
    )
