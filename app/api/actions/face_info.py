"""FaceInfo: one face in the response of `DetectFace`, with the vendor's field names.

Values that were not measured or not requested are null, 0 or false, as in the vendor's responses. Landmarks are an
extension, returned on request only.
"""

from dataclasses import asdict
from typing import Annotated

from pydantic import Field
from pydantic.config import JsonDict

from app.api.actions.base import ResponseModel
from app.domain import Attributes, DetectedFace, Landmarks, Quality

_PERCENT: JsonDict = {"minimum": 0, "maximum": 100}
_VisiblePercent = Annotated[
    int, Field(description="Percent of the region that is visible.", json_schema_extra=_PERCENT)
]
_UnmeasuredInt = Annotated[int, Field(description="0: not measured.", json_schema_extra={"const": 0})]
_UnmeasuredBool = Annotated[bool, Field(description="False: not measured.", json_schema_extra={"const": False})]
_NullableBool = Annotated[bool | None, Field(description="Null: not measured.")]


class FaceHairAttributesInfo(ResponseModel):
    """Always 0: hair is not measured."""

    length: _UnmeasuredInt = 0
    bang: _UnmeasuredInt = 0
    color: _UnmeasuredInt = 0


class FaceAttributesInfo(ResponseModel):
    """Pose and mask of a face. All values are 0 or false without `NeedFaceAttributes` 1, and after the fifth face.

    Gender, age, expression, glass and beauty are not measured and always 0 or false. Hat, hair and eye_open are not
    measured either. They are null if attributes are requested, which is the vendor's value for "not valid".
    """

    gender: _UnmeasuredInt = 0
    age: _UnmeasuredInt = 0
    expression: _UnmeasuredInt = 0
    glass: _UnmeasuredBool = False
    pitch: int = Field(
        0,
        description="Degrees; positive if the face looks up. Computed from five landmarks: accurate to a few degrees.",
    )
    yaw: int = Field(0, description="Degrees; positive if the face looks to the viewer's right.")
    roll: int = Field(0, description="Degrees; positive if the head is tilted clockwise.")
    beauty: _UnmeasuredInt = 0
    hat: _NullableBool = False
    mask: bool = Field(False, description="A mask or another object covers nose, mouth and chin.")
    hair: FaceHairAttributesInfo | None = Field(FaceHairAttributesInfo(), description="Null: not measured.")
    eye_open: _NullableBool = False


class FaceQualityCompleteness(ResponseModel):
    """The visible share of each region. Left and right sides are measured together."""

    eyebrow: _VisiblePercent = 0
    eye: _VisiblePercent = 0
    nose: _VisiblePercent = 0
    cheek: _VisiblePercent = 0
    mouth: _VisiblePercent = 0
    chin: _VisiblePercent = 0


class FaceQualityInfo(ResponseModel):
    """The image quality of a face. All values are 0 without `NeedQualityDetection` 1, and after the thirtieth face."""

    score: int = Field(0, description="Overall quality: good from 60, excellent from 80.", json_schema_extra=_PERCENT)
    sharpness: int = Field(0, description="Sharp from 80, very blurry below 40.", json_schema_extra=_PERCENT)
    brightness: int = Field(0, description="Dark below 30, too bright above 70.", json_schema_extra=_PERCENT)
    completeness: FaceQualityCompleteness = FaceQualityCompleteness()


class FaceInfo(ResponseModel):
    """One face. Its bounding box may extend beyond the image, so X and Y may be negative."""

    x: int = Field(description="Left edge of the bounding box, in pixels.")
    y: int = Field(description="Upper edge of the bounding box, in pixels.")
    width: int = Field(description="Width of the bounding box, in pixels.")
    height: int = Field(description="Height of the bounding box, in pixels.")
    face_attributes_info: FaceAttributesInfo
    face_quality_info: FaceQualityInfo


class Point(ResponseModel):
    """A point in pixels. It may lie outside the image."""

    x: int
    y: int


class FaceLandmarks(ResponseModel):
    """Five landmarks. Left and right are the viewer's, for an upright face seen from the front.

    `LeftEye` is therefore the person's right eye, in a rotated image, too.
    """

    left_eye: Point
    right_eye: Point
    nose: Point = Field(description="Tip of the nose.")
    left_mouth_corner: Point
    right_mouth_corner: Point


class FaceInfoWithLandmarks(FaceInfo):
    """One face with landmarks, returned if `NeedLandmarks` is 1. The vendor's SDKs do not have this field."""

    landmarks: FaceLandmarks


def face_info(face: DetectedFace, *, landmarks: bool) -> FaceInfo:
    """Return the response's object for ``face``; with ``landmarks``, a :class:`FaceInfoWithLandmarks`."""
    x, y, width, height = face.box.to_xywh()
    attributes = _attributes_info(face.attributes)
    quality = _quality_info(face.quality)
    info = FaceInfo(x=x, y=y, width=width, height=height, face_attributes_info=attributes, face_quality_info=quality)
    return FaceInfoWithLandmarks(**dict(info), landmarks=_landmarks(face.landmarks)) if landmarks else info


def _quality_info(quality: Quality | None) -> FaceQualityInfo:
    if quality is None:
        return FaceQualityInfo()
    return FaceQualityInfo(
        score=quality.score,
        sharpness=quality.sharpness,
        brightness=quality.brightness,
        completeness=FaceQualityCompleteness(**asdict(quality.completeness)),
    )


def _attributes_info(attributes: Attributes | None) -> FaceAttributesInfo:
    if attributes is None:
        return FaceAttributesInfo()
    angles = {name: round(angle) for name, angle in asdict(attributes.pose).items()}
    return FaceAttributesInfo(**angles, mask=attributes.has_mask, hat=None, hair=None, eye_open=None)


def _landmarks(landmarks: Landmarks) -> FaceLandmarks:
    points = (Point(x=round(x), y=round(y)) for x, y in landmarks.tolist())
    return FaceLandmarks(**dict(zip(FaceLandmarks.model_fields, points, strict=True)))
