"""QualityControl: what is looked at, what is refused, and the words for it."""

from __future__ import annotations

from contextlib import nullcontext, suppress

import numpy as np
import pytest

from app.domain import CompareOptions, Image, Landmarks, MatchingStrategy, QualityPolicy
from app.engine import Pipelines
from app.errors import ApiError, ErrorCode
from app.ops.stage_timer import StageTimer
from app.packs.manifest import Pack
from app.packs.store import Store
from app.runtime.session import OrtSession
from app.service.face_pipeline import DetectedImage, EmbeddingPipeline
from app.service.quality_gate import QualityGate
from app.vision.embed import Embedder
from app.vision.quality.assess import QualityAssessment, QualityAssessor
from app.vision.selection import select
from tests.support.images import astronaut, blurred, jpeg, shrunk
from tests.support.pipelines import detect_all


class Spy(QualityAssessor):
    """The real one, counting."""

    def __init__(self, real: QualityAssessor) -> None:
        self._real = real
        self.judged: list[Landmarks] = []

    @property
    def looks(self) -> int:
        return len(self.judged)

    def assess(self, image: Image, landmarks: Landmarks) -> QualityAssessment:
        self.judged.append(landmarks)
        return self._real.assess(image, landmarks)


def _view(pipelines: Pipelines, image: Image) -> DetectedImage:
    return detect_all(pipelines.detection, jpeg(image))


_BLURRED = blurred(astronaut(), 5)


@pytest.mark.parametrize("policy", QualityPolicy)
def test_a_sharp_face_passes_where_a_blurred_one_does_not(
    pipelines: Pipelines, assessor: QualityAssessor, policy: QualityPolicy
) -> None:
    judge = QualityGate(assessor, policy)
    sharp, (face, *_) = _view(pipelines, astronaut())
    judge.check(sharp, face, 1)
    judge.check(_BLURRED, face, 0)
    with pytest.raises(ApiError) as caught:
        judge.check(_BLURRED, face, 2)
    assert caught.value.code is ErrorCode.FACE_QUALITY_NOT_QUALIFIED
    english, chinese = (caught.value.with_image("A").message(chinese=chinese) for chinese in (False, True))
    assert english.startswith("The face image quality does not meet the requirement: extreme blurriness")
    assert english.endswith(". (image A)")
    assert chinese.startswith("人脸图片质量不符要求：")
    assert chinese.endswith("。（图片A）")


@pytest.fixture(scope="module")
def embedder(store: Store, pack: Pack) -> Embedder:
    return Embedder(OrtSession.open(store.resolve(pack)[pack.embedder.file], "cpu", 1), pack.embedder)


@pytest.mark.parametrize(("level", "looks"), [(0, 0), (1, 1), (4, 1)])
def test_quality_is_looked_at_once_and_only_where_it_is_asked_for(
    pipelines: Pipelines, assessor: QualityAssessor, embedder: Embedder, pack: Pack, level: int, looks: int
) -> None:
    spy = Spy(assessor)
    judge = QualityGate(spy, QualityPolicy.ACCEPT_DESCRIBED)
    subject = EmbeddingPipeline(pipelines.detection, judge, embedder, pack, MatchingStrategy.LARGEST)
    with suppress(ApiError):
        subject.embed(jpeg(astronaut()), CompareOptions(quality_control=level), StageTimer.after(30))
    assert spy.looks == looks


@pytest.mark.parametrize("strategy", MatchingStrategy)
@pytest.mark.parametrize("blurred_is_larger", [False, True])
def test_the_face_that_is_compared_is_the_one_that_is_judged(
    pipelines: Pipelines,
    assessor: QualityAssessor,
    embedder: Embedder,
    pack: Pack,
    strategy: int,
    blurred_is_larger: bool,
) -> None:
    """Of two faces, one sharp and one not, the refusal follows the one that ``select`` takes."""
    small = shrunk(_BLURRED if not blurred_is_larger else astronaut(), 256)
    large = astronaut() if not blurred_is_larger else _BLURRED
    both = np.zeros((512, 768, 3), np.uint8)
    both[:, :512], both[:256, 512:] = large, small
    view = _view(pipelines, both)
    assert len(view.faces) == 2
    compared = select(view.faces, view.image, MatchingStrategy(strategy), pack.detector.selection_confidence)
    spy = Spy(assessor)
    judge = QualityGate(spy, QualityPolicy.ACCEPT_DESCRIBED)
    subject = EmbeddingPipeline(pipelines.detection, judge, embedder, pack, MatchingStrategy(strategy))
    is_blurred = (compared.box.right < 512) is blurred_is_larger
    with pytest.raises(ApiError) if is_blurred else nullcontext():
        subject.embed(jpeg(both), CompareOptions(quality_control=2), StageTimer.after(30))
    (judged,) = spy.judged
    assert np.array_equal(judged, compared.landmarks)
