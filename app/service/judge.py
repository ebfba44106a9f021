"""A face and a level of ``QualityControl`` -> nothing, or ``FaceQualityNotQualified`` with the problems."""

from __future__ import annotations

from app.domain import Face, Image, Quality, QualityPolicy
from app.errors import ApiError, ErrorCode, Text
from app.vision.quality.assess import Assessor
from app.vision.quality.grade import accepts, problems


class Judge:
    """Refuses faces whose picture is not good enough."""

    def __init__(self, assessor: Assessor, policy: QualityPolicy) -> None:
        self._assessor = assessor
        self._policy = policy

    def check(self, image: Image, face: Face, level: int) -> None:
        """Raise ``ApiError`` unless the picture of ``face`` is good enough; level 0 looks at nothing."""
        if level == 0:
            return
        quality = self._assessor.assess(image, face.landmarks).quality
        if not accepts(quality, level, self._policy):
            raise ApiError(ErrorCode.FACE_QUALITY_NOT_QUALIFIED, _text(quality))


def _text(quality: Quality) -> Text:
    code = ErrorCode.FACE_QUALITY_NOT_QUALIFIED.text
    found = [problem.text for problem in problems(quality)]
    return Text(
        f"{code.en.removesuffix('.')}: {', '.join(text.en for text in found)}.",
        f"{code.zh.removesuffix('。')}：{'、'.join(text.zh for text in found)}。",
    )
