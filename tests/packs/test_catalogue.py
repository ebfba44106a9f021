"""The packs of the catalogue, as records: what can be said of them without their weights."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatch
from itertools import chain
from pathlib import Path

import pytest

from app.packs.convert.converters import CONVERTERS
from app.packs.manifest import Pack
from app.packs.store import FALLBACK, PREFERRED, Store
from app.vision.detect import DETECTORS

_ROOT = Path(__file__).resolve().parents[2]
_NAMES = [path.parent.name for path in sorted((_ROOT / "models").glob("*/pack.toml"))]
_FREE = {"open", "opencv", "omz", "auraface"}


@pytest.fixture(scope="module", params=_NAMES)
def each(request: pytest.FixtureRequest, store: Store) -> Pack:
    return store.pack(request.param)


def test_the_catalogue_is_complete() -> None:
    insightface = {"buffalo_l", "buffalo_m", "buffalo_s", "buffalo_sc", "antelopev2"}
    assert set(_NAMES) == _FREE | insightface
    assert {PREFERRED, FALLBACK} <= set(_NAMES)
    assert "auto" not in _NAMES  # a word of the settings


def test_its_detector_and_converters_exist(each: Pack) -> None:
    assert each.detector.family in DETECTORS
    assert {file.source.converter for file in each.files} <= {*CONVERTERS, None}


def test_only_what_is_free_is_called_so(each: Pack) -> None:
    assert (each.licence.commercial, each.licence.needs_acceptance) == (each.name in _FREE, each.name not in _FREE)


def test_its_template_lies_within_the_crop_and_looks_like_a_face(each: Pack) -> None:
    left, right, nose, mouth_left, mouth_right = each.embedder.template
    assert all(0 < value < each.embedder.input_size for point in each.embedder.template for value in point)
    assert left[0] < nose[0] < right[0]
    assert mouth_left[0] < nose[0] < mouth_right[0]
    assert max(left[1], right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])


def test_every_download_is_used(each: Pack) -> None:
    used = {name for file in each.files for name in getattr(file.source, "downloads", ())}
    assert used == {download.name for download in each.downloads}


def test_published_addresses_name_a_version_and_end_in_the_files_name(each: Pack) -> None:
    for download in each.downloads:
        assert download.url.endswith(f"/{download.name}")
        assert not {"main", "master", "latest"} & set(download.url.split("/"))


def test_a_name_means_the_same_download_in_every_pack(store: Store) -> None:
    """So that mirrors may keep all of them in one folder."""
    downloads = set(chain.from_iterable(store.pack(name).downloads for name in _NAMES))
    assert len({download.name for download in downloads}) == len(downloads) == 10


def test_every_pack_is_in_the_documentation() -> None:
    page = (_ROOT / "models" / "README.md").read_text("utf-8")
    assert [name for name in _NAMES if f"`{name}`" not in page] == []


def test_the_wheel_takes_every_pack_along() -> None:
    build = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert build["sources"] == {"models": "app/_catalogue"}
    tables = [str(path.relative_to(_ROOT)) for path in (_ROOT / "models").glob("*/*.toml")]
    committed = [path for path in tables if not path.endswith("ACCEPTED.toml")]
    assert len(committed) > len(_NAMES)
    assert [path for path in committed if not any(fnmatch(f"/{path}", rule) for rule in build["include"])] == []
