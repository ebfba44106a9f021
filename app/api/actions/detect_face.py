"""DetectFace (iai 2020-03-03 and 2018-03-01): one image in, its faces out, with pose and quality if requested.

Values are checked in this order: FaceModelVersion, MaxFaceNum, MinFaceSize, NeedRotateDetection.
"""

from pydantic import Field

from app.api.actions.base import Action, RequestModel, ResponseModel
from app.api.actions.face_info import FaceInfo, FaceInfoWithLandmarks, face_info
from app.api.actions.fields import (
    MODEL_VERSIONS,
    ONE_IS_TRUE,
    REQUESTED_MODEL_VERSIONS,
    Base64,
    Rotate,
    Url,
    raise_illegal,
    zero_or_one,
)
from app.api.auth.keys import Caller
from app.domain import ActionName, DetectOptions, ImageRef
from app.errors import ApiError, ErrorCode, Text
from app.ops.stage_timer import StageTimer
from app.service.services import Services

_MAX_FACES = 120
_MIN_FACE_SIZES = (20, 34)
_MIN_FACE_SIZE = "The smallest width and height of a face's bounding box, in pixels."


class DetectFaceResponse(ResponseModel):
    """The faces of the image, largest first."""

    image_width: int = Field(description="Width of the image in its EXIF orientation, in pixels.")
    image_height: int = Field(description="Height of the image in its EXIF orientation, in pixels.")
    face_infos: list[FaceInfo | FaceInfoWithLandmarks] = Field(description="At least one face.")
    face_model_version: str = Field(description="The model version that was used.", json_schema_extra=MODEL_VERSIONS)


class DetectFace20180301(RequestModel):
    """One image, as an Image or a Url, and what to measure of its faces."""

    max_face_num: int = Field(
        1,
        description="The largest number of faces to return, largest faces first.",
        json_schema_extra={"minimum": 1, "maximum": _MAX_FACES, "examples": [10]},
    )
    min_face_size: int = Field(34, description=_MIN_FACE_SIZE, json_schema_extra={"minimum": 1, "examples": [40]})
    image: Base64 = ""
    url: Url = ""
    need_face_attributes: int = Field(
        0,
        description="1 measures pose and mask of the five largest faces; any other value does not.",
        json_schema_extra=ONE_IS_TRUE,
    )
    need_quality_detection: int = Field(
        0,
        description="1 measures the quality of the thirty largest faces; any other value does not.",
        json_schema_extra=ONE_IS_TRUE,
    )
    face_model_version: str | None = Field(
        None,
        description="The model version. Default, also for an empty string: 3.0, unless the operator configured another "
        "one for the caller.",
        json_schema_extra=REQUESTED_MODEL_VERSIONS,
    )
    need_rotate_detection: Rotate = 0
    need_landmarks: int = Field(
        0,
        description="1 returns five landmarks of each face; any other value does not. The vendor's API does not have "
        "this parameter.",
        json_schema_extra=ONE_IS_TRUE,
    )

    async def perform(self, services: Services, caller: Caller, timer: StageTimer) -> DetectFaceResponse:
        version = caller.face_model_version(self.face_model_version)
        if self.max_face_num > _MAX_FACES:
            raise ApiError(ErrorCode.FACE_NUM_EXCEED)
        if self.max_face_num < 1:
            raise_illegal("MaxFaceNum", Text(f"1 to {_MAX_FACES}", f"1 到 {_MAX_FACES}"))
        self.check_min_face_size()
        options = DetectOptions(
            version,
            max_faces=self.max_face_num,
            min_size=self.min_face_size,
            attributes=self.need_face_attributes == 1,
            quality=self.need_quality_detection == 1,
            rotate=bool(zero_or_one("NeedRotateDetection", self.need_rotate_detection)),
        )
        result = await services.detect(ImageRef(self.image, self.url), options, timer)
        return DetectFaceResponse(
            image_width=result.width,
            image_height=result.height,
            face_infos=[face_info(face, landmarks=self.need_landmarks == 1) for face in result.faces],
            face_model_version=version.value,
        )

    def check_min_face_size(self) -> None:
        if self.min_face_size < 1:
            raise_illegal("MinFaceSize", Text("1 or more", "1 或更大"))


class DetectFace20200303(DetectFace20180301):
    """One image, as an Image or a Url, and what to measure of its faces."""

    min_face_size: int = Field(34, description=_MIN_FACE_SIZE, json_schema_extra={"enum": list(_MIN_FACE_SIZES)})

    def check_min_face_size(self) -> None:
        if self.min_face_size not in _MIN_FACE_SIZES:
            raise_illegal("MinFaceSize", Text("20 or 34", "20 或 34"))


DETECT_FACE = Action(ActionName.DETECT_FACE.value, {"2020-03-03": DetectFace20200303, "2018-03-01": DetectFace20180301})
