"""CompareFace (iai 2020-03-03 and 2018-03-01): two pictures in, how alike their faces are out.

Values are judged in this order: FaceModelVersion, QualityControl, NeedRotateDetection, FaceMatchingStrategy. The
pictures are the service's business.
"""

from __future__ import annotations

from pydantic import Field
from pydantic.config import JsonDict

from app.api.actions.base import Action, RequestModel, ResponseModel
from app.api.actions.values import MODEL_VERSIONS, SWITCH, Base64, Rotate, Url, zero_or_one
from app.api.auth.keys import Caller
from app.domain import CompareOptions, ImageRef, MatchingStrategy
from app.errors import ApiError, ErrorCode
from app.ops.stage_timer import StageTimer
from app.service.services import Services

_QUALITY_LEVELS = range(5)
# Of the OpenAPI document; the values are judged below, with the vendor's code.
_LEVEL: JsonDict = {"enum": list(_QUALITY_LEVELS)}


class CompareFaceResponse(ResponseModel):
    """How alike the faces of the two pictures are."""

    score: float = Field(
        description="100 for identical pictures. Different people reach 40, 50 and 60 (version 2.0: 70, 80 and 90) in "
        "0.1 %, 0.01 % and 0.001 % of all pairs.",
        json_schema_extra={"minimum": 0, "maximum": 100, "examples": [43.15762039906064]},
    )
    face_model_version: str = Field(description="The scale of the score.", json_schema_extra=MODEL_VERSIONS)


class CompareFace20180301(RequestModel):
    """Two pictures, A and B, each an Image or a Url."""

    image_a: Base64 = ""
    image_b: Base64 = ""
    url_a: Url = ""
    url_b: Url = ""
    face_model_version: str | None = Field(
        None,
        description="The scale of the score; 3.0 where it is absent, if the operator set no other for the caller.",
        json_schema_extra=MODEL_VERSIONS,
    )
    quality_control: int = Field(
        0,
        description="The quality asked of both faces: 0 none, 1 low, 2 average, 3 high, 4 very high. A face that is "
        "worse is `FailedOperation.FaceQualityNotQualified`, and the message says why; `DetectFace` has the numbers.",
        json_schema_extra=_LEVEL,
    )
    need_rotate_detection: Rotate = 0

    async def perform(self, services: Services, caller: Caller, timer: StageTimer) -> CompareFaceResponse:
        options = self.options(caller)
        comparison = await services.compare(
            ImageRef(self.image_a, self.url_a), ImageRef(self.image_b, self.url_b), options, timer
        )
        return CompareFaceResponse(score=comparison.score, face_model_version=comparison.face_model_version.value)

    def options(self, caller: Caller) -> CompareOptions:
        """Return what is asked for; raise ``ApiError`` for a value unknown or not allowed."""
        version = caller.face_model_version(self.face_model_version)
        if self.quality_control not in _QUALITY_LEVELS:
            raise ApiError(ErrorCode.QUALITY_CONTROL_ILLEGAL)
        rotate = bool(zero_or_one("NeedRotateDetection", self.need_rotate_detection))
        strategy = self.matching_strategy()
        return CompareOptions(version, strategy, rotate, self.quality_control)

    def matching_strategy(self) -> MatchingStrategy | None:
        """Return the face to take from a picture; None leaves it to the server."""
        return None


class CompareFace20200303(CompareFace20180301):
    """Two pictures, A and B, each an Image or a Url, and which face of each."""

    face_matching_strategy: int | None = Field(
        None,
        description="The face to take of several: 0 the most confident, 1 the largest; where it is absent, what "
        "`COMPAREFACE_COMPARE__MATCHING_STRATEGY` says.",
        json_schema_extra=SWITCH,
    )

    def matching_strategy(self) -> MatchingStrategy | None:
        if self.face_matching_strategy is None:
            return None
        return MatchingStrategy(zero_or_one("FaceMatchingStrategy", self.face_matching_strategy))


COMPARE_FACE = Action("CompareFace", {"2020-03-03": CompareFace20200303, "2018-03-01": CompareFace20180301})
