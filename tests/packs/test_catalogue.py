"""The records of the shipped packs, checked without their weights."""

import tomllib
from fnmatch import fnmatch
from itertools import chain
from pathlib import Path

import pytest

from app.packs.convert import CONVERTERS
from app.packs.manifest import Pack
from app.packs.store import FALLBACK, PREFERRED, Store
from app.vision.detect import DETECTORS

_ROOT = Path(__file__).resolve().parents[2]
_NAMES = [path.parent.name for path in sorted((_ROOT / "models").glob("*/pack.toml"))]
_FREE_PACKS = {"open", "opencv", "omz", "auraface"}


@pytest.fixture(scope="module", params=_NAMES)
def shipped_pack(request: pytest.FixtureRequest, store: Store) -> Pack:
    return store.pack(request.param)


def test_the_catalogue_is_complete() -> None:
    insightface = {"buffalo_l", "buffalo_m", "buffalo_s", "buffalo_sc", "antelopev2"}
    assert set(_NAMES) == _FREE_PACKS | insightface
    assert {PREFERRED, FALLBACK} <= set(_NAMES)
    assert "auto" not in _NAMES  # a value of the setting


def test_detector_families_and_converters_exist(shipped_pack: Pack) -> None:
    assert shipped_pack.detector.family in DETECTORS
    assert {file.source.converter for file in shipped_pack.files} <= {*CONVERTERS, None}


def test_only_free_packs_are_marked_commercial(shipped_pack: Pack) -> None:
    assert (shipped_pack.licence.commercial, shipped_pack.licence.needs_acceptance) == (
        shipped_pack.name in _FREE_PACKS,
        shipped_pack.name not in _FREE_PACKS,
    )


def test_the_template_lies_within_the_crop_in_the_order_of_the_landmarks(shipped_pack: Pack) -> None:
    left, right, nose, mouth_left, mouth_right = shipped_pack.embedder.template
    assert all(
        0 < value < shipped_pack.embedder.input_size for point in shipped_pack.embedder.template for value in point
    )
    assert left[0] < nose[0] < right[0]
    assert mouth_left[0] < nose[0] < mouth_right[0]
    assert max(left[1], right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])


def test_every_download_is_used(shipped_pack: Pack) -> None:
    used = {name for file in shipped_pack.files for name in getattr(file.source, "downloads", ())}
    assert used == {download.name for download in shipped_pack.downloads}


def test_published_urls_are_versioned_and_end_in_the_file_name(shipped_pack: Pack) -> None:
    for download in shipped_pack.downloads:
        assert download.url.endswith(f"/{download.name}")
        assert not {"main", "master", "latest"} & set(download.url.split("/"))


def test_downloads_of_the_same_name_are_equal_in_all_packs(store: Store) -> None:
    """A mirror may keep the downloads of all packs in one folder."""
    downloads = set(chain.from_iterable(store.pack(name).downloads for name in _NAMES))
    assert len({download.name for download in downloads}) == len(downloads) == 10


def test_every_pack_is_documented() -> None:
    page = (_ROOT / "models" / "README.md").read_text("utf-8")
    assert [name for name in _NAMES if f"`{name}`" not in page] == []


def test_the_wheel_contains_every_pack() -> None:
    build = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert build["sources"] == {"models": "app/_catalogue"}
    models = _ROOT / "models"
    paths = [str(path.relative_to(_ROOT)) for path in (*models.glob("*/*.toml"), *models.glob("*/*.npz"))]
    committed = [path for path in paths if not path.endswith("ACCEPTED.toml")]
    assert len(committed) > len(_NAMES)
    assert [path for path in committed if not any(fnmatch(f"/{path}", pattern) for pattern in build["include"])] == []
