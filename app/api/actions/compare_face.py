"""CompareFace (iai 2020-03-03 and 2018-03-01): two images in, the similarity score of their faces out.

Values are checked in this order: FaceModelVersion, QualityControl, NeedRotateDetection, FaceMatchingStrategy. The
service checks the images.
"""

from pydantic import Field
from pydantic.config import JsonDict

from app.api.actions.base import Action, RequestModel, ResponseModel
from app.api.actions.fields import (
    MODEL_VERSIONS,
    REQUESTED_MODEL_VERSIONS,
    ZERO_OR_ONE,
    Base64,
    Rotate,
    Url,
    zero_or_one,
)
from app.api.auth.keys import Caller
from app.domain import ActionName, CompareOptions, ImageRef, MatchingStrategy
from app.errors import ApiError, ErrorCode
from app.ops.stage_timer import StageTimer
from app.service.services import Services

_QUALITY_LEVELS = range(5)
_LEVEL: JsonDict = {"enum": list(_QUALITY_LEVELS)}


class CompareFaceResponse(ResponseModel):
    """The similarity score of two faces."""

    score: float = Field(
        description="Similarity of the two faces; 100 for identical images. A score of 50 (80 with model version 2.0) "
        "or more means the same person.\n\n"
        "Thresholds of 40, 50 and 60 (70, 80 and 90) stand for false-accept rates of 0.1 %, 0.01 % and 0.001 %. Above "
        "60 (90) the rate falls more slowly. The rates hold for people like those of the calibration, and for the "
        "operator's population: any two people (`general`) or similar people (`matched`).",
        json_schema_extra={"minimum": 0, "maximum": 100, "examples": [43.15762039906064]},
    )
    face_model_version: str = Field(
        description="The model version that was used; it sets the scale of the score.", json_schema_extra=MODEL_VERSIONS
    )


class CompareFace20180301(RequestModel):
    """Two images, A and B. Each is an Image or a Url."""

    image_a: Base64 = ""
    image_b: Base64 = ""
    url_a: Url = ""
    url_b: Url = ""
    face_model_version: str | None = Field(
        None,
        description="The model version, which sets the scale of the score. Default, also for an empty string: 3.0, "
        "unless the operator configured another one for the caller.",
        json_schema_extra=REQUESTED_MODEL_VERSIONS,
    )
    quality_control: int = Field(
        0,
        description="The image quality that both faces need: 0 none, 1 low, 2 average, 3 high, 4 very high. A face of "
        "lower quality is rejected with `FailedOperation.FaceQualityNotQualified`, and the message names the problem. "
        "`DetectFace` returns the measured values.",
        json_schema_extra=_LEVEL,
    )
    need_rotate_detection: Rotate = 0

    async def perform(self, services: Services, caller: Caller, timer: StageTimer) -> CompareFaceResponse:
        version = caller.face_model_version(self.face_model_version)
        if self.quality_control not in _QUALITY_LEVELS:
            raise ApiError(ErrorCode.QUALITY_CONTROL_ILLEGAL)
        rotate = bool(zero_or_one("NeedRotateDetection", self.need_rotate_detection))
        options = CompareOptions(version, self.matching_strategy(), rotate, self.quality_control, caller.population)
        a, b = ImageRef(self.image_a, self.url_a), ImageRef(self.image_b, self.url_b)
        comparison = await services.compare(a, b, options, timer)
        return CompareFaceResponse(score=comparison.score, face_model_version=comparison.face_model_version.value)

    def matching_strategy(self) -> MatchingStrategy | None:
        """Return how to select the target face; None for the server's default."""
        return None


class CompareFace20200303(CompareFace20180301):
    """Two images, A and B, and how to select the face of each. Each image is an Image or a Url."""

    face_matching_strategy: int | None = Field(
        None,
        description="How to select one of several faces: 0 the most confident detection, 1 the largest face. Default: "
        "the setting `COMPAREFACE_COMPARE__MATCHING_STRATEGY`.",
        json_schema_extra=ZERO_OR_ONE,
    )

    def matching_strategy(self) -> MatchingStrategy | None:
        if self.face_matching_strategy is None:
            return None
        return MatchingStrategy(zero_or_one("FaceMatchingStrategy", self.face_matching_strategy))


COMPARE_FACE = Action(
    ActionName.COMPARE_FACE.value, {"2020-03-03": CompareFace20200303, "2018-03-01": CompareFace20180301}
)
