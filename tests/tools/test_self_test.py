"""The request of ``serve --check``."""

import base64
import io
from pathlib import Path

import pytest
from PIL import Image

from app.domain import CompareOptions, Comparison, FaceModelVersion, ImageRef
from app.environment import Settings, SettingsError
from app.errors import ApiError, ErrorCode
from app.ops.stage_timer import StageTimer
from app.settings import AuthSettings
from app.tools.self_test import NO_FACE, try_request
from tests.support.fakes import CLOSED, OPEN, Behaviour, FakeEngine, FakeService, broken_comparison


async def _no_face(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
    with Image.open(io.BytesIO(base64.b64decode(a.base64))) as image:
        assert min(image.size) >= 64
    raise ApiError(ErrorCode.NO_FACE_IN_PHOTO, image="A")


async def _a_score(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
    return Comparison(100.0, 1.0, FaceModelVersion.V3)


@pytest.mark.parametrize("settings", [OPEN, CLOSED])
@pytest.mark.parametrize(
    ("comparison", "outcome"),
    [(_no_face, NO_FACE), (_a_score, "no error"), (broken_comparison, "FailedOperation.ServerError")],
)
async def test_one_request_passes_through_the_application(
    settings: Settings, comparison: Behaviour, outcome: str
) -> None:
    engine = FakeEngine(FakeService(comparison))
    assert await try_request(settings, engine) == outcome
    assert len(engine.service.calls) == 1


async def test_faces_are_detected_if_no_key_may_compare(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text('[callers.a]\nkeys = [{ label = "1", secret_key = "k" }]\nactions = ["DetectFace"]\n')
    engine = FakeEngine()
    assert await try_request(Settings(auth=AuthSettings(keys_file=file)), engine) == "no error"
    assert len(engine.service.detect_calls) == 1


async def test_an_empty_key_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "keys.toml").write_text("")
    with pytest.raises(SettingsError, match=r"keys\.toml has no callers$"):
        await try_request(Settings(auth=AuthSettings(keys_file=tmp_path / "keys.toml")), FakeEngine())
