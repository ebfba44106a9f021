"""The use case on the real models, and its order of events on doubles."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import AsyncIterator

import cv2
import numpy as np
import pytest

from app.domain import CompareOptions, Embedding, FaceModelVersion, Image, ImageRef, MatchingStrategy, QualityPolicy
from app.engine import Engine
from app.environment import Settings
from app.errors import ApiError, ErrorCode
from app.imaging.fetch import Fetcher
from app.ops.stage_timer import StageTimer
from app.runtime.worker_pool import ThreadBudget, WorkerPool
from app.service.compare import CompareService, ScoredPipeline
from app.settings import FetchSettings, QualitySettings
from tests.support.images import another_shot, astronaut, blurred, cast, jpeg

_V2 = CompareOptions(face_model_version=FaceModelVersion.V2)


def _ref(data: bytes) -> ImageRef:
    return ImageRef(base64=base64.b64encode(data).decode())


_ASTRONAUT, _SAME, _CAST = _ref(jpeg(astronaut())), _ref(jpeg(another_shot(astronaut()), 70)), _ref(jpeg(cast()))
_NO_FACE = _ref(jpeg(np.full((200, 200, 3), 128, dtype=np.uint8)))
_BLURRED = _ref(jpeg(blurred(astronaut(), 5)))
_BROKEN = _ref(b"this is not a picture")
_EMPTY = ImageRef()


def _soon() -> StageTimer:
    return StageTimer.after(30)


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[Engine]:
    async with Engine.open(settings) as opened:
        yield opened


@pytest.mark.parametrize("options", [CompareOptions(), _V2])
async def test_a_picture_compared_with_itself_scores_100(engine: Engine, options: CompareOptions) -> None:
    comparison = await engine.services.compare(_ASTRONAUT, _ASTRONAUT, options, _soon())
    assert (comparison.score, comparison.cosine) == (100.0, 1.0)


async def test_the_same_person_scores_high_and_different_people_low(engine: Engine) -> None:
    same = await engine.services.compare(_ASTRONAUT, _SAME, CompareOptions(), _soon())
    different = await engine.services.compare(_ASTRONAUT, _CAST, CompareOptions(), _soon())
    assert same.score > 60
    assert different.score < 40
    assert same.cosine > different.cosine


async def test_the_order_of_the_pictures_does_not_matter(engine: Engine) -> None:
    there = await engine.services.compare(_ASTRONAUT, _CAST, CompareOptions(), _soon())
    back = await engine.services.compare(_CAST, _ASTRONAUT, CompareOptions(), _soon())
    assert there == back


async def test_the_older_model_version_has_its_own_scale(engine: Engine) -> None:
    new = await engine.services.compare(_ASTRONAUT, _CAST, CompareOptions(), _soon())
    old = await engine.services.compare(_ASTRONAUT, _CAST, _V2, _soon())
    assert old.face_model_version is FaceModelVersion.V2
    assert old.cosine == new.cosine
    assert old.score > new.score


@pytest.mark.parametrize(
    ("a", "b", "code", "image"),
    [
        (_EMPTY, _EMPTY, ErrorCode.IMAGE_EMPTY, "A"),
        (_BROKEN, _EMPTY, ErrorCode.IMAGE_EMPTY, "B"),
        (_BROKEN, _NO_FACE, ErrorCode.IMAGE_DECODE_FAILED, "A"),
        (_NO_FACE, _BROKEN, ErrorCode.NO_FACE_IN_PHOTO, "A"),
        (_ASTRONAUT, _BROKEN, ErrorCode.IMAGE_DECODE_FAILED, "B"),
        (_ASTRONAUT, _NO_FACE, ErrorCode.NO_FACE_IN_PHOTO, "B"),
    ],
)
async def test_an_error_names_its_picture_and_a_comes_before_b(
    engine: Engine, a: ImageRef, b: ImageRef, code: ErrorCode, image: str
) -> None:
    with pytest.raises(ApiError) as caught:
        await engine.services.compare(a, b, CompareOptions(), _soon())
    assert (caught.value.code, caught.value.image) == (code, image)


@pytest.mark.parametrize("level", [1, 4])
async def test_quality_control_leaves_the_score_alone(engine: Engine, level: int) -> None:
    """Also where the picture is searched and compared at a fraction of its size."""
    large, other = (
        _ref(jpeg(np.asarray(cv2.resize(picture, (1350, 1350)), np.uint8)))
        for picture in (astronaut(), another_shot(astronaut()))
    )
    alone, judged = [
        await engine.services.compare(large, other, CompareOptions(quality_control=asked), _soon())
        for asked in (0, level)
    ]
    assert alone == judged


@pytest.mark.parametrize("level", [1, 2, 3, 4])
async def test_quality_control_refuses_a_blurred_face_and_says_which_and_why(engine: Engine, level: int) -> None:
    policy = Settings(quality=QualitySettings(policy=QualityPolicy.REJECT_DESCRIBED))
    async with Engine.open(policy) as strict:
        with pytest.raises(ApiError) as caught:
            await strict.services.compare(_ASTRONAUT, _BLURRED, CompareOptions(quality_control=level), _soon())
    assert caught.value.code is ErrorCode.FACE_QUALITY_NOT_QUALIFIED
    assert re.search(r"requirement: .*blurriness.*\. \(image B\)$", caught.value.message(chinese=False))
    assert (await engine.services.compare(_ASTRONAUT, _BLURRED, CompareOptions(quality_control=0), _soon())).score > 0


async def test_a_request_out_of_time_is_told_so(engine: Engine) -> None:
    with pytest.raises(ApiError) as caught:
        await engine.services.compare(_ASTRONAUT, _ASTRONAUT, CompareOptions(), StageTimer.after(0))
    assert caught.value.code is ErrorCode.REQUEST_TIMEOUT


def _sideways(image: Image, turns: int) -> Image:
    return np.ascontiguousarray(np.rot90(image, turns))


@pytest.mark.parametrize("turns", [1, 2, 3])
async def test_a_turned_photo_is_recognised_with_rotation(engine: Engine, turns: int) -> None:
    turned = _ref(jpeg(_sideways(astronaut(), turns)))
    comparison = await engine.services.compare(_ASTRONAUT, turned, CompareOptions(rotate=True), _soon())
    assert comparison.score > 90


async def test_the_matching_strategy_of_the_request_wins_over_the_setting(engine: Engine) -> None:
    large = cv2.resize(cast()[0:330, 820:1100], None, fx=1.5, fy=1.5)
    small = cv2.resize(astronaut(), None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    canvas = np.zeros((500, 420 + 308, 3), dtype=np.uint8)
    canvas[: large.shape[0], : large.shape[1]] = large
    canvas[: small.shape[0], 420 : 420 + small.shape[1]] = small
    both = _ref(jpeg(canvas))
    scores = {}
    for strategy in MatchingStrategy:
        options = CompareOptions(matching_strategy=strategy)
        scores[strategy] = (await engine.services.compare(_ASTRONAUT, both, options, _soon())).score
    default = (await engine.services.compare(_ASTRONAUT, both, CompareOptions(), _soon())).score
    assert scores[MatchingStrategy.MOST_CONFIDENT] > 60 > scores[MatchingStrategy.LARGEST]
    assert default == scores[MatchingStrategy.LARGEST]


class _Meeting:
    """A embedding_pipeline that answers only when both pictures are under way at the same time."""

    def __init__(self) -> None:
        self._barrier = threading.Barrier(2, timeout=10)

    def embed(self, _data: str, _options: CompareOptions, _timer: StageTimer) -> Embedding:
        self._barrier.wait()
        return np.array([1.0, 0.0], dtype=np.float32)


class _SlowFirst:
    """A embedding_pipeline whose error for picture A comes long after the one for picture B."""

    def __init__(self) -> None:
        self._second_failed = threading.Event()

    def embed(self, data: str, _options: CompareOptions, _timer: StageTimer) -> Embedding:
        if data == _ref(b"A").base64:
            assert self._second_failed.wait(10)
            raise ApiError(ErrorCode.NO_FACE_IN_PHOTO)
        self._second_failed.set()
        raise ApiError(ErrorCode.IMAGE_DECODE_FAILED)


class _Identity:
    def score(self, cosine: float) -> float:
        return cosine


async def _compare_with(embedding_pipeline: object) -> float:
    models = dict.fromkeys(FaceModelVersion, ScoredPipeline(embedding_pipeline, _Identity()))  # type: ignore[arg-type]
    with WorkerPool(ThreadBudget(2, 1)) as workers:
        async with Fetcher(FetchSettings()) as fetcher:
            service = CompareService(models, fetcher, workers)
            return (await service.compare(_ref(b"A"), _ref(b"B"), CompareOptions(), _soon())).score


async def test_both_pictures_are_worked_on_at_the_same_time() -> None:
    assert await _compare_with(_Meeting()) == 1.0


async def test_the_error_of_a_wins_even_when_it_comes_later() -> None:
    with pytest.raises(ApiError) as caught:
        await _compare_with(_SlowFirst())
    assert (caught.value.code, caught.value.image) == (ErrorCode.NO_FACE_IN_PHOTO, "A")
