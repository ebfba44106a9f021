from pathlib import Path

import pytest

from app.environment import Settings
from app.errors import ApiError, ErrorCode
from app.settings import LimitsSettings
from app.tools.inspect.inspection import InspectError, inspect, output_path
from tests.support.images import cast, jpeg


def test_the_target_face_and_the_largest_others_are_inspected(settings: Settings) -> None:
    inspection = inspect(settings, jpeg(cast()), rotate=False)
    assert [finding.is_compared for finding in inspection.findings] == [True, False, False, False]
    assert len(inspection.faces) == 6


def test_an_exceeded_deadline_is_an_error_code(settings: Settings) -> None:
    hurried = settings.model_copy(update={"limits": LimitsSettings.model_construct(deadline_s=0.0)})
    with pytest.raises(ApiError) as caught:
        inspect(hurried, jpeg(cast()), rotate=False)
    assert caught.value.code is ErrorCode.REQUEST_TIMEOUT


def test_the_drawing_never_replaces_the_photo(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    photo.touch()
    with pytest.raises(InspectError, match="is the photo itself"):
        output_path(photo, photo)
    assert output_path(photo, None) == Path("a.inspect.png")
