"""What `DetectFace` tells of one face: the vendor's words for it, and how they are filled from what was seen.

In: a :class:`DetectedFace`. Out: a :class:`FaceInfo`. What is not measured, or not asked for, is null, 0 or false in it,
as with the vendor; it is never invented. Landmarks are an extension of ours, there only for who asks for them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.config import JsonDict

from app.api.actions.base import ResponseModel
from app.domain import Attributes, DetectedFace, Landmarks, Quality

# Of the OpenAPI document.
_PERCENT: JsonDict = {"minimum": 0, "maximum": 100}
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


class Point(ResponseModel):
    """A place in the picture, in pixels; it may lie outside."""

    x: int
    y: int


class FaceLandmarks(ResponseModel):
    """Five landmarks; left and right as in an upright face seen from the front.

    `LeftEye` is the person's right eye, in a turned picture, too.
    """

    left_eye: Point
    right_eye: Point
    nose: Point = Field(description="Its tip.")
    left_mouth_corner: Point
    right_mouth_corner: Point


class FaceInfoWithLandmarks(FaceInfo):
    """One face, with landmarks: where `NeedLandmarks` is 1. No SDK knows the field; the vendor has none."""

    landmarks: FaceLandmarks


def face_info(face: DetectedFace, *, landmarks: bool) -> FaceInfo:
    """Return what is told of ``face``; with ``landmarks``, a :class:`FaceInfoWithLandmarks`."""
    left, top, width, height = face.box.pixels
    info = FaceInfo(
        x=left,
        y=top,
        width=width,
        height=height,
        face_attributes_info=_attributes_info(face.attributes),
        face_quality_info=_quality_info(face.quality),
    )
    return FaceInfoWithLandmarks(**dict(info), landmarks=_landmarks(face.landmarks)) if landmarks else info


def _landmarks(landmarks: Landmarks) -> FaceLandmarks:
    points = (Point(x=round(x), y=round(y)) for x, y in landmarks.tolist())
    return FaceLandmarks(**dict(zip(FaceLandmarks.model_fields, points, strict=True)))


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
