import re
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


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, which has a photo in each of two subfolders, and one drawing."""
    monkeypatch.chdir(tmp_path)
    for name in ("x/a.jpg", "y/a.jpg", "x/a.png", "a.jpg.inspect.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("photo", "out", "error"),
    [
        ("x/a.jpg", None, "a.jpg.inspect.png exists; replace it with --out a.jpg.inspect.png, or name another file"),
        ("y/a.jpg", None, "a.jpg.inspect.png exists; replace it with --out a.jpg.inspect.png, or name another file"),
        ("x/a.jpg", "y/a.jpg", ""),
        ("x/a.jpg", "a.jpg.inspect.png", ""),
        ("x/a.png", None, ""),
        ("x/a.jpg", "x/a.jpg", "x/a.jpg is the photo itself; name another file with --out"),
        ("a.jpg.inspect.png", "x/../a.jpg.inspect.png", "is the photo itself"),
        ("a.jpg.inspect.png", None, ""),
    ],
)
def test_a_file_is_replaced_only_if_it_is_named_and_is_not_the_photo(
    folder: Path, photo: str, out: str | None, error: str
) -> None:
    named = Path(out) if out else None
    if error:
        with pytest.raises(InspectError, match=re.escape(error)):
            output_path(Path(photo), named)
    else:
        assert output_path(Path(photo), named) == (named or Path(f"{Path(photo).name}.inspect.png"))
