"""QualityControl: which face is assessed, which is rejected, and the error text."""

from contextlib import nullcontext, suppress

import numpy as np
import pytest

from app.domain import CompareOptions, Face, Image, Landmarks, MatchingStrategy, QualityPolicy
from app.engine import Pipelines
from app.errors import ApiError, ErrorCode
from app.ops.stage_timer import StageTimer
from app.packs.manifest import Pack
from app.packs.store import Store
from app.runtime.session import OrtSession
from app.service.face_pipeline import EmbeddingPipeline
from app.service.quality_gate import QualityGate
from app.vision.embed import Embedder
from app.vision.quality.assessment import QualityAssessment, QualityAssessor
from app.vision.selection import select_target
from tests.support.images import astronaut, blurred, jpeg, shrunk
from tests.support.pipelines import detect_all


class CountingAssessor(QualityAssessor):
    """The real assessor, recording the landmarks of each call."""

    def __init__(self, assessor: QualityAssessor) -> None:
        self._assessor = assessor
        self.assessed: list[Landmarks] = []

    @property
    def calls(self) -> int:
        return len(self.assessed)

    def assess(self, image: Image, landmarks: Landmarks) -> QualityAssessment:
        self.assessed.append(landmarks)
        return self._assessor.assess(image, landmarks)


def _detect_all(pipelines: Pipelines, image: Image) -> tuple[Image, list[Face]]:
    return detect_all(pipelines.detection, jpeg(image))


_BLURRED = blurred(astronaut(), 5)


@pytest.mark.parametrize("policy", QualityPolicy)
def test_a_sharp_face_passes_and_a_blurred_one_is_rejected(
    pipelines: Pipelines, assessor: QualityAssessor, policy: QualityPolicy
) -> None:
    gate = QualityGate(assessor, policy)
    sharp, (face, *_) = _detect_all(pipelines, astronaut())
    gate.check(sharp, face, 1)
    gate.check(_BLURRED, face, 0)
    with pytest.raises(ApiError) as caught:
        gate.check(_BLURRED, face, 2)
    assert caught.value.code is ErrorCode.FACE_QUALITY_NOT_QUALIFIED
    english, chinese = (caught.value.with_image("A").message(chinese=chinese) for chinese in (False, True))
    assert english.startswith("The face image quality does not meet the requirement: extreme blurriness")
    assert english.endswith(". (image A)")
    assert chinese.startswith("人脸图片质量不符要求：")
    assert chinese.endswith("。（图片A）")


@pytest.fixture(scope="module")
def embedder(store: Store, pack: Pack) -> Embedder:
    return Embedder(OrtSession.open(store.resolve(pack)[pack.embedder.file], "cpu", 1), pack.embedder)


@pytest.mark.parametrize(("level", "calls"), [(0, 0), (1, 1), (4, 1)])
def test_quality_is_assessed_once_and_only_on_request(
    pipelines: Pipelines, assessor: QualityAssessor, embedder: Embedder, pack: Pack, level: int, calls: int
) -> None:
    counting_assessor = CountingAssessor(assessor)
    gate = QualityGate(counting_assessor, QualityPolicy.ACCEPT_DESCRIBED)
    pipeline = EmbeddingPipeline(pipelines.detection, gate, embedder, pack, MatchingStrategy.LARGEST)
    with suppress(ApiError):
        pipeline.embed(jpeg(astronaut()), CompareOptions(quality_control=level), StageTimer.after(30))
    assert counting_assessor.calls == calls


@pytest.mark.parametrize("strategy", MatchingStrategy)
@pytest.mark.parametrize("blurred_is_larger", [False, True])
def test_quality_is_assessed_on_the_target_face(
    pipelines: Pipelines,
    assessor: QualityAssessor,
    embedder: Embedder,
    pack: Pack,
    strategy: int,
    blurred_is_larger: bool,
) -> None:
    """With a sharp and a blurred face, the image is rejected if ``select_target`` returns the blurred one."""
    small = shrunk(_BLURRED if not blurred_is_larger else astronaut(), 256)
    large = astronaut() if not blurred_is_larger else _BLURRED
    both = np.zeros((512, 768, 3), np.uint8)
    both[:, :512], both[:256, 512:] = large, small
    image, faces = _detect_all(pipelines, both)
    assert len(faces) == 2
    target = select_target(faces, image, MatchingStrategy(strategy), pack.detector.selection_confidence)
    counting_assessor = CountingAssessor(assessor)
    gate = QualityGate(counting_assessor, QualityPolicy.ACCEPT_DESCRIBED)
    pipeline = EmbeddingPipeline(pipelines.detection, gate, embedder, pack, MatchingStrategy(strategy))
    is_blurred = (target.box.right < 512) is blurred_is_larger
    with pytest.raises(ApiError) if is_blurred else nullcontext():
        pipeline.embed(jpeg(both), CompareOptions(quality_control=2), StageTimer.after(30))
    (assessed,) = counting_assessor.assessed
    assert np.array_equal(assessed, target.landmarks)
