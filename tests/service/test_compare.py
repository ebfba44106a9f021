"""The use case with real models, and its concurrency with fake pipelines."""

import base64
import re
import threading
from collections.abc import AsyncIterator
from itertools import product

import cv2
import numpy as np
import pytest

from app.domain import (
    CompareOptions,
    DetectOptions,
    EmbeddedFace,
    FaceModelVersion,
    Image,
    ImageRef,
    MatchingStrategy,
    Population,
    QualityPolicy,
    TargetNote,
)
from app.engine import Engine
from app.environment import Settings
from app.errors import ApiError, ErrorCode
from app.imaging.fetch import Fetcher
from app.ops.stage_timer import StageTimer
from app.packs.manifest import Pack
from app.runtime.worker_pool import ThreadBudget, WorkerPool
from app.service.compare import CompareService
from app.settings import CompareSettings, FetchSettings, QualitySettings
from tests.support.images import another_shot, astronaut, blurred, cast, jpeg, shrunk

_V2 = CompareOptions(face_model_version=FaceModelVersion.V2)


def _ref(data: bytes) -> ImageRef:
    return ImageRef(base64=base64.b64encode(data).decode())


_ASTRONAUT, _SAME, _CAST = _ref(jpeg(astronaut())), _ref(jpeg(another_shot(astronaut()), 70)), _ref(jpeg(cast()))
_FACELESS = _ref(jpeg(np.full((200, 200, 3), 128, dtype=np.uint8)))
_BLURRED = _ref(jpeg(blurred(astronaut(), 5)))
_BROKEN = _ref(b"this is not an image")
_EMPTY = ImageRef()


def _timer() -> StageTimer:
    return StageTimer.after(30)


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[Engine]:
    async with Engine.open(settings) as opened:
        yield opened


@pytest.mark.parametrize("options", [CompareOptions(), _V2])
async def test_an_image_compared_with_itself_scores_100(engine: Engine, options: CompareOptions) -> None:
    comparison = await engine.services.compare(_ASTRONAUT, _ASTRONAUT, options, _timer())
    assert (comparison.score, comparison.cosine) == (100.0, 1.0)


async def test_the_same_person_scores_high_and_different_people_low(engine: Engine) -> None:
    same = await engine.services.compare(_ASTRONAUT, _SAME, CompareOptions(), _timer())
    different = await engine.services.compare(_ASTRONAUT, _CAST, CompareOptions(), _timer())
    assert same.score > 60
    assert different.score < 40
    assert same.cosine > different.cosine


async def test_a_face_that_fills_the_largest_image_is_compared(engine: Engine) -> None:
    face = cv2.resize(astronaut()[30:220, 125:315], (3990, 3990), interpolation=cv2.INTER_CUBIC)
    large = _ref(jpeg(np.asarray(face, np.uint8)))
    assert (await engine.services.compare(_ASTRONAUT, large, CompareOptions(), _timer())).score > 60


async def test_the_ghost_portrait_of_an_id_card_is_not_compared(engine: Engine) -> None:
    """A small, pale portrait of another person stands beside the main one."""
    card = np.full((540, 860, 3), 235, np.uint8)
    card[20:520, 20:520] = cv2.resize(astronaut(), (500, 500))
    ghost = cv2.resize(cast()[210:450, 450:610], (80, 120), interpolation=cv2.INTER_AREA)
    card[400:520, 740:820] = cv2.addWeighted(ghost, 0.6, np.full_like(ghost, 235), 0.4, 0)
    image = _ref(jpeg(card))
    assert len((await engine.services.detect(image, DetectOptions(max_faces=9), _timer())).faces) == 2
    assert (await engine.services.compare(_ASTRONAUT, image, CompareOptions(), _timer())).score > 90


async def test_the_degradation_of_both_images_is_estimated_and_logged(engine: Engine) -> None:
    timer = _timer()
    strongly_blurred = _ref(jpeg(np.asarray(cv2.GaussianBlur(astronaut(), (0, 0), 10), np.uint8)))
    comparison = await engine.services.compare(_ASTRONAUT, strongly_blurred, CompareOptions(), timer)
    good, degraded = comparison.degradation
    assert degraded > good + 0.1
    assert timer.details["degradation"] == [round(good, 2), round(degraded, 2)]


def _side_by_side(left: Image, right: Image) -> ImageRef:
    return _ref(jpeg(np.concatenate([left, right], axis=1)))


async def test_a_second_face_of_comparable_size_is_noted_and_logged(engine: Engine) -> None:
    timer = _timer()
    both = _side_by_side(astronaut(), shrunk(another_shot(astronaut()), 512))
    comparison = await engine.services.compare(_ASTRONAUT, both, CompareOptions(), timer)
    assert comparison.notes == ((), (TargetNote.COMPARABLE_FACE,))
    assert timer.details["notes"] == {"B": ["comparable_face"]}
    alone = _timer()
    assert (await engine.services.compare(_ASTRONAUT, _SAME, CompareOptions(), alone)).notes == ((), ())
    assert "notes" not in alone.details


async def test_a_face_too_small_for_the_pack_is_an_error_with_a_reason(engine: Engine, pack: Pack) -> None:
    for side, is_accepted in ((pack.embedder.min_face_side + 4, True), (pack.embedder.min_face_side - 4, False)):
        small = _ref(jpeg(shrunk(astronaut(), round(512 * side / 90)), 95))
        if is_accepted:
            assert (await engine.services.compare(_ASTRONAUT, small, CompareOptions(), _timer())).score > 0
            continue
        with pytest.raises(ApiError) as caught:
            await engine.services.compare(_ASTRONAUT, small, CompareOptions(), _timer())
        assert (caught.value.code, caught.value.image) == (ErrorCode.FACE_SIZE_TOO_SMALL, "B")
        assert "pixels of the original image" in caught.value.reason


async def test_the_order_of_the_images_does_not_matter(engine: Engine) -> None:
    forward = await engine.services.compare(_ASTRONAUT, _CAST, CompareOptions(), _timer())
    backward = await engine.services.compare(_CAST, _ASTRONAUT, CompareOptions(), _timer())
    assert (forward.score, forward.cosine) == (backward.score, backward.cosine)
    assert forward.degradation == backward.degradation[::-1]


async def test_the_matched_population_lowers_scores_and_is_logged(engine: Engine, settings: Settings) -> None:
    timer, matched = _timer(), CompareOptions(population=Population.MATCHED)
    general = await engine.services.compare(_ASTRONAUT, _SAME, CompareOptions(), _timer())
    strict = await engine.services.compare(_ASTRONAUT, _SAME, matched, timer)
    assert (strict.population, timer.details["population"]) == (Population.MATCHED, "matched")
    assert strict.cosine == general.cosine
    assert strict.score < general.score
    by_default = settings.model_copy(update={"compare": CompareSettings(population=Population.MATCHED)})
    async with Engine.open(by_default) as other:
        assert await other.services.compare(_ASTRONAUT, _SAME, CompareOptions(), _timer()) == strict
        assert other.info.population is Population.MATCHED


async def test_the_older_model_version_has_its_own_scale(engine: Engine) -> None:
    new = await engine.services.compare(_ASTRONAUT, _CAST, CompareOptions(), _timer())
    old = await engine.services.compare(_ASTRONAUT, _CAST, _V2, _timer())
    assert old.face_model_version is FaceModelVersion.V2
    assert old.cosine == new.cosine
    assert old.score > new.score


@pytest.mark.parametrize(
    ("a", "b", "code", "image"),
    [
        (_ASTRONAUT, _EMPTY, ErrorCode.IMAGE_EMPTY, "B"),
        (_BROKEN, _ASTRONAUT, ErrorCode.IMAGE_DECODE_FAILED, "A"),
        (_ASTRONAUT, _BROKEN, ErrorCode.IMAGE_DECODE_FAILED, "B"),
        (_ASTRONAUT, _FACELESS, ErrorCode.NO_FACE_IN_PHOTO, "B"),
    ],
)
async def test_an_error_names_its_image(engine: Engine, a: ImageRef, b: ImageRef, code: ErrorCode, image: str) -> None:
    with pytest.raises(ApiError) as caught:
        await engine.services.compare(a, b, CompareOptions(), _timer())
    assert (caught.value.code, caught.value.image) == (code, image)


@pytest.mark.parametrize(
    ("a", "b", "code", "image"),
    [
        (_EMPTY, _EMPTY, ErrorCode.IMAGE_EMPTY, "A"),
        (_BROKEN, _EMPTY, ErrorCode.IMAGE_EMPTY, "B"),  # missing images are found before any image is processed
        (_BROKEN, _FACELESS, ErrorCode.IMAGE_DECODE_FAILED, "A"),
        (_FACELESS, _BROKEN, ErrorCode.NO_FACE_IN_PHOTO, "A"),
    ],
)
async def test_if_both_images_fail_the_error_of_a_takes_precedence(
    engine: Engine, a: ImageRef, b: ImageRef, code: ErrorCode, image: str
) -> None:
    with pytest.raises(ApiError) as caught:
        await engine.services.compare(a, b, CompareOptions(), _timer())
    assert (caught.value.code, caught.value.image) == (code, image)


@pytest.mark.parametrize("level", [1, 3])
async def test_quality_control_does_not_change_the_score(engine: Engine, level: int) -> None:
    """The images are large enough that detection and alignment use a reduced size."""
    large, other = (
        _ref(jpeg(np.asarray(cv2.resize(image, (1350, 1350)), np.uint8)))
        for image in (astronaut(), another_shot(astronaut()))
    )
    without_control, with_control = [
        await engine.services.compare(large, other, CompareOptions(quality_control=quality_control), _timer())
        for quality_control in (0, level)
    ]
    assert without_control == with_control


@pytest.mark.parametrize("level", [1, 2, 3, 4])
async def test_quality_control_rejects_a_blurred_face_with_image_and_reason(engine: Engine, level: int) -> None:
    settings = Settings(quality=QualitySettings(policy=QualityPolicy.REJECT_DESCRIBED))
    async with Engine.open(settings) as strict:
        with pytest.raises(ApiError) as caught:
            await strict.services.compare(_ASTRONAUT, _BLURRED, CompareOptions(quality_control=level), _timer())
    assert caught.value.code is ErrorCode.FACE_QUALITY_NOT_QUALIFIED
    assert re.search(r"requirement: .*blurriness.*\. \(image B\)$", caught.value.message(chinese=False))
    assert (await engine.services.compare(_ASTRONAUT, _BLURRED, CompareOptions(quality_control=0), _timer())).score > 0


async def test_a_request_after_its_deadline_times_out(engine: Engine) -> None:
    with pytest.raises(ApiError) as caught:
        await engine.services.compare(_ASTRONAUT, _ASTRONAUT, CompareOptions(), StageTimer.after(0))
    assert caught.value.code is ErrorCode.REQUEST_TIMEOUT


def _rotated(image: Image, quarter_turns: int) -> Image:
    return np.ascontiguousarray(np.rot90(image, quarter_turns))


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
async def test_a_rotated_image_is_recognised_with_rotation(engine: Engine, quarter_turns: int) -> None:
    rotated = _ref(jpeg(_rotated(astronaut(), quarter_turns)))
    comparison = await engine.services.compare(_ASTRONAUT, rotated, CompareOptions(rotate=True), _timer())
    assert comparison.score > 90


async def test_the_matching_strategy_of_the_request_overrides_the_setting(engine: Engine) -> None:
    large = cv2.resize(cast()[0:330, 820:1100], None, fx=1.5, fy=1.5)
    small = cv2.resize(astronaut(), None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    canvas = np.zeros((500, 420 + 308, 3), dtype=np.uint8)
    canvas[: large.shape[0], : large.shape[1]] = large
    canvas[: small.shape[0], 420 : 420 + small.shape[1]] = small
    both = _ref(jpeg(canvas))
    scores = {}
    for strategy in MatchingStrategy:
        options = CompareOptions(matching_strategy=strategy)
        scores[strategy] = (await engine.services.compare(_ASTRONAUT, both, options, _timer())).score
    default = (await engine.services.compare(_ASTRONAUT, both, CompareOptions(), _timer())).score
    assert scores[MatchingStrategy.MOST_CONFIDENT] > 60 > scores[MatchingStrategy.LARGEST]
    assert default == scores[MatchingStrategy.LARGEST]


class _ConcurrentPipeline:
    """A pipeline that returns only when both images are processed at the same time."""

    def __init__(self) -> None:
        self._barrier = threading.Barrier(2, timeout=10)

    def embed(self, _data: str, _options: CompareOptions, _timer: StageTimer) -> EmbeddedFace:
        self._barrier.wait()
        return EmbeddedFace(np.array([1.0, 0.0], dtype=np.float32))


class _LateErrorForA:
    """A pipeline whose error for image A is raised after the error for image B."""

    def __init__(self) -> None:
        self._b_failed = threading.Event()

    def embed(self, data: str, _options: CompareOptions, _timer: StageTimer) -> EmbeddedFace:
        if data == _ref(b"A").base64:
            assert self._b_failed.wait(10)
            raise ApiError(ErrorCode.NO_FACE_IN_PHOTO)
        self._b_failed.set()
        raise ApiError(ErrorCode.IMAGE_DECODE_FAILED)


class _IdentityScale:
    def score(self, cosine: float) -> float:
        return cosine


async def _compare_with(pipeline: object) -> float:
    with WorkerPool(ThreadBudget(2, 1)) as workers:
        async with Fetcher(FetchSettings()) as fetcher:
            pipelines, scales = (
                dict.fromkeys(FaceModelVersion, pipeline),
                dict.fromkeys(product(FaceModelVersion, Population), _IdentityScale()),
            )
            service = CompareService(pipelines, scales, Population.GENERAL, fetcher, workers)  # type: ignore[arg-type]
            return (await service.compare(_ref(b"A"), _ref(b"B"), CompareOptions(), _timer())).score


async def test_both_images_are_processed_concurrently() -> None:
    assert await _compare_with(_ConcurrentPipeline()) == 1.0


async def test_the_error_of_a_takes_precedence_even_if_it_is_raised_later() -> None:
    with pytest.raises(ApiError) as caught:
        await _compare_with(_LateErrorForA())
    assert (caught.value.code, caught.value.image) == (ErrorCode.NO_FACE_IN_PHOTO, "A")
