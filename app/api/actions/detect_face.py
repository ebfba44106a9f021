"""DetectFace (iai 2020-03-03 and 2018-03-01): one picture in, its faces out, with pose and quality where wanted.

Values are judged in this order: FaceModelVersion, MaxFaceNum, MinFaceSize, NeedRotateDetection.
"""

from __future__ import annotations

from pydantic import Field
from pydantic.config import JsonDict

from app.api.actions.base import Action, RequestModel, ResponseModel
from app.api.actions.face_info import FaceInfo, FaceInfoWithLandmarks, face_info
from app.api.actions.values import MODEL_VERSIONS, Base64, Rotate, Url, illegal, zero_or_one
from app.api.auth.keys import Caller
from app.domain import DetectOptions, ImageRef
from app.errors import ApiError, ErrorCode, Text
from app.ops.stage_timer import StageTimer
from app.service.services import Services

_MOST_FACES = 120
_FACE_SIZES = (20, 34)
# Of the OpenAPI document; the values are judged below, with the vendor's codes.
_ANY_SWITCH: JsonDict = {"examples": [1]}


class DetectFaceResponse(ResponseModel):
    """The faces of the picture, largest first."""

    image_width: int = Field(description="Pixels of the picture, upright.")
    image_height: int = Field(description="Pixels of the picture, upright.")
    face_infos: list[FaceInfo | FaceInfoWithLandmarks] = Field(description="At least one.")
    face_model_version: str = Field(description="The models that were used.", json_schema_extra=MODEL_VERSIONS)


class DetectFace20180301(RequestModel):
    """A picture, an Image or a Url, and what to tell of its faces."""

    max_face_num: int = Field(
        1,
        description="Faces at most, the largest ones.",
        json_schema_extra={"minimum": 1, "maximum": _MOST_FACES, "examples": [10]},
    )
    min_face_size: int = Field(
        34,
        description="Pixels that the box of a face is wide and high, at least.",
        json_schema_extra={"minimum": 1, "examples": [40]},
    )
    image: Base64 = ""
    url: Url = ""
    need_face_attributes: int = Field(
        0,
        description="1 measures pose and mask, of the five largest faces; any other value does not.",
        json_schema_extra=_ANY_SWITCH,
    )
    need_quality_detection: int = Field(
        0,
        description="1 measures quality, of the thirty largest faces; any other value does not.",
        json_schema_extra=_ANY_SWITCH,
    )
    face_model_version: str | None = Field(
        None,
        description="The models to use; 3.0 where it is absent, if the operator set no other for the caller.",
        json_schema_extra=MODEL_VERSIONS,
    )
    need_rotate_detection: Rotate = 0
    need_landmarks: int = Field(
        0,
        description="Ours, not the vendor's: 1 tells the five landmarks of each face; any other value does not.",
        json_schema_extra=_ANY_SWITCH,
    )

    async def perform(self, services: Services, caller: Caller, timer: StageTimer) -> DetectFaceResponse:
        options = self.options(caller)
        result = await services.detect(ImageRef(self.image, self.url), options, timer)
        return DetectFaceResponse(
            image_width=result.width,
            image_height=result.height,
            face_infos=[face_info(face, landmarks=self.need_landmarks == 1) for face in result.faces],
            face_model_version=options.face_model_version.value,
        )

    def options(self, caller: Caller) -> DetectOptions:
        """Return what is asked for; raise ``ApiError`` for a value unknown or not allowed."""
        version = caller.face_model_version(self.face_model_version)
        if self.max_face_num > _MOST_FACES:
            raise ApiError(ErrorCode.FACE_NUM_EXCEED)
        if self.max_face_num < 1:
            illegal("MaxFaceNum", Text(f"1 to {_MOST_FACES}", f"1 到 {_MOST_FACES}"))
        self.check_face_size()
        return DetectOptions(
            version,
            max_faces=self.max_face_num,
            min_size=self.min_face_size,
            attributes=self.need_face_attributes == 1,
            quality=self.need_quality_detection == 1,
            rotate=bool(zero_or_one("NeedRotateDetection", self.need_rotate_detection)),
        )

    def check_face_size(self) -> None:
        if self.min_face_size < 1:
            illegal("MinFaceSize", Text("1 or more", "1 或更大"))


class DetectFace20200303(DetectFace20180301):
    """A picture, an Image or a Url, and what to tell of its faces."""

    min_face_size: int = Field(
        34,
        description="Pixels that the box of a face is wide and high, at least.",
        json_schema_extra={"enum": list(_FACE_SIZES)},
    )

    def check_face_size(self) -> None:
        if self.min_face_size not in _FACE_SIZES:
            illegal("MinFaceSize", Text("20 or 34", "20 或 34"))


DETECT_FACE = Action("DetectFace", {"2020-03-03": DetectFace20200303, "2018-03-01": DetectFace20180301})
