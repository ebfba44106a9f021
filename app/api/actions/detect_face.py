"""DetectFace (iai 2020-03-03 and 2018-03-01): one picture in, its faces out, with pose and quality where wanted.

Values are judged in this order: FaceModelVersion, MaxFaceNum, MinFaceSize, NeedRotateDetection. What is not measured,
or not asked for, is null, 0 or false in the answer, as with the vendor; it is never invented.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.config import JsonDict

from app.api.actions.base import Action, RequestModel, ResponseModel
from app.api.actions.values import MODEL_VERSIONS, Base64, Rotate, Url, illegal, zero_or_one
from app.api.engine import Service
from app.api.keys import Caller
from app.domain import Attributes, ImageRef, Quality, SeenFace, Wanted
from app.errors import ApiError, ErrorCode, Text
from app.ops.deadline import Deadline

_MOST_FACES = 120
_FACE_SIZES = (20, 34)
# Of the OpenAPI document; the values are judged below, with the vendor's codes.
_PERCENT: JsonDict = {"minimum": 0, "maximum": 100}
_ANY_SWITCH: JsonDict = {"examples": [1]}
_Visible = Annotated[int, Field(description="Percent of it that nothing covers.", json_schema_extra=_PERCENT)]
_Unmeasured = Annotated[int, Field(description="0: not measured.", json_schema_extra={"const": 0})]
_Untold = Annotated[bool, Field(description="False: not measured.", json_schema_extra={"const": False})]
_Unknown = Annotated[bool | None, Field(description="Null: not measured.")]


class FaceHairAttributesInfo(ResponseModel):
    """Zeros where attributes are not told."""

    length: _Unmeasured = 0
    bang: _Unmeasured = 0
    color: _Unmeasured = 0


class FaceAttributesInfo(ResponseModel):
    """What is seen of a face; zeros where `NeedFaceAttributes` is not 1, and from the sixth face on.

    Gender, age, expression, glass and beauty are not measured and always 0 or false. Hat, hair and eye_open are not
    measured either; where attributes are told they are null, the vendor's word for having no valid value.
    """

    gender: _Unmeasured = 0
    age: _Unmeasured = 0
    expression: _Unmeasured = 0
    glass: _Untold = False
    pitch: int = Field(0, description="Degrees; above 0 the face looks up. From five landmarks: good to some degrees.")
    yaw: int = Field(0, description="Degrees; above 0 the face looks to the viewer's right.")
    roll: int = Field(0, description="Degrees; above 0 the head is turned clockwise.")
    beauty: _Unmeasured = 0
    hat: _Unknown = False
    mask: bool = Field(False, description="Nose, mouth and chin are covered, by a mask or by anything else.")
    hair: FaceHairAttributesInfo | None = Field(FaceHairAttributesInfo(), description="Null: not measured.")
    eye_open: _Unknown = False


class FaceQualityCompleteness(ResponseModel):
    """How much of each region is visible, both sides together."""

    eyebrow: _Visible = 0
    eye: _Visible = 0
    nose: _Visible = 0
    cheek: _Visible = 0
    mouth: _Visible = 0
    chin: _Visible = 0


class FaceQualityInfo(ResponseModel):
    """How good the picture of a face is; zeros where `NeedQualityDetection` is not 1, and from the 31st face on."""

    score: int = Field(0, description="All in all; from 60 good, from 80 excellent.", json_schema_extra=_PERCENT)
    sharpness: int = Field(0, description="From 80 sharp, below 40 very blurry.", json_schema_extra=_PERCENT)
    brightness: int = Field(0, description="Below 30 dark, above 70 too bright.", json_schema_extra=_PERCENT)
    completeness: FaceQualityCompleteness = FaceQualityCompleteness()


class FaceInfo(ResponseModel):
    """One face. Its box may reach beyond the picture, so X and Y may be negative."""

    x: int = Field(description="Left edge, in pixels.")
    y: int = Field(description="Upper edge, in pixels.")
    width: int = Field(description="Pixels.")
    height: int = Field(description="Pixels.")
    face_attributes_info: FaceAttributesInfo
    face_quality_info: FaceQualityInfo


class DetectFaceResponse(ResponseModel):
    """The faces of the picture, largest first."""

    image_width: int = Field(description="Pixels of the picture, upright.")
    image_height: int = Field(description="Pixels of the picture, upright.")
    face_infos: list[FaceInfo] = Field(description="At least one.")
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

    async def perform(self, service: Service, caller: Caller, deadline: Deadline) -> DetectFaceResponse:
        wanted = self.wanted(caller)
        sight = await service.detect(ImageRef(self.image, self.url), wanted, deadline)
        return DetectFaceResponse(
            image_width=sight.width,
            image_height=sight.height,
            face_infos=[_face_info(face) for face in sight.faces],
            face_model_version=wanted.face_model_version.value,
        )

    def wanted(self, caller: Caller) -> Wanted:
        """Return what is asked for; raise ``ApiError`` for a value unknown or not allowed."""
        version = caller.face_model_version(self.face_model_version)
        if self.max_face_num > _MOST_FACES:
            raise ApiError(ErrorCode.FACE_NUM_EXCEED)
        if self.max_face_num < 1:
            illegal("MaxFaceNum", Text(f"1 to {_MOST_FACES}", f"1 到 {_MOST_FACES}"))
        self.check_face_size()
        return Wanted(
            version,
            most=self.max_face_num,
            smallest=self.min_face_size,
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


def _face_info(face: SeenFace) -> FaceInfo:
    left, top, width, height = face.box.pixels
    return FaceInfo(
        x=left,
        y=top,
        width=width,
        height=height,
        face_attributes_info=_attributes_info(face.attributes),
        face_quality_info=_quality_info(face.quality),
    )


def _attributes_info(attributes: Attributes | None) -> FaceAttributesInfo:
    if attributes is None:
        return FaceAttributesInfo()
    pitch, yaw, roll = (round(angle) for angle in (attributes.pose.pitch, attributes.pose.yaw, attributes.pose.roll))
    return FaceAttributesInfo(pitch=pitch, yaw=yaw, roll=roll, mask=attributes.mask, hat=None, hair=None, eye_open=None)


def _quality_info(quality: Quality | None) -> FaceQualityInfo:
    if quality is None:
        return FaceQualityInfo()
    visible = quality.completeness
    return FaceQualityInfo(
        score=quality.score,
        sharpness=quality.sharpness,
        brightness=quality.brightness,
        completeness=FaceQualityCompleteness(
            eyebrow=visible.eyebrow,
            eye=visible.eye,
            nose=visible.nose,
            cheek=visible.cheek,
            mouth=visible.mouth,
            chin=visible.chin,
        ),
    )
