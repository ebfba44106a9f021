"""``QualityControl``: reject a face of low image quality with an error that lists its problems in both languages."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.domain import Face, Image, Quality, QualityPolicy
from app.errors import ApiError, ErrorCode, Text
from app.vision.quality.assessment import QualityAssessor, accepts, problems

_CHINESE: Mapping[str, str] = {
    "extreme blurriness": "非常模糊",
    "blurriness": "模糊",
    "average blurriness": "一般模糊",
    "excessive dimness": "偏暗",
    "excessive brightness": "偏亮",
    "covered eyebrows": "眉毛遮挡",
    "covered eyes": "眼睛遮挡",
    "covered nose": "鼻子遮挡",
    "covered cheeks": "脸颊遮挡",
    "covered mouth": "嘴巴遮挡",
    "covered chin": "下巴遮挡",
    "unnatural tones": "色调异常",
    "strong compression": "压缩过度",
    "text or lines over the face": "人脸上有文字或线条",
}
"""The wording per problem: the vendor's (CompareFace page), except for the last three."""


@dataclass(frozen=True, slots=True)
class QualityGate:
    """Rejects faces below the requested quality level."""

    assessor: QualityAssessor
    policy: QualityPolicy

    def check(self, image: Image, face: Face, level: int) -> None:
        """Raise ``FaceQualityNotQualified`` if ``face`` fails ``level`` (0-4). Level 0 accepts every face."""
        quality = self.assessor.assess(image, face.landmarks).quality
        if not accepts(quality, level, self.policy):
            raise ApiError(ErrorCode.FACE_QUALITY_NOT_QUALIFIED, _error_text(quality))


def _error_text(quality: Quality) -> Text:
    code = ErrorCode.FACE_QUALITY_NOT_QUALIFIED.text
    english = [problem.text for problem in problems(quality)]
    return Text(
        f"{code.en.removesuffix('.')}: {', '.join(english)}.",
        f"{code.zh.removesuffix('。')}：{'、'.join(_CHINESE[problem] for problem in english)}。",
    )
