from pathlib import Path

import numpy as np
import pytest

from app.engine import open_pipelines, open_shared_resources
from app.environment import Settings
from app.packs.manifest import Pack
from app.packs.store import Store
from app.tools.evaluation.gallery import Gallery, GalleryError
from app.tools.evaluation.measure import Measurement, measure
from app.tools.evaluation.pairs import count_pairs
from tests.support.embeddings import without_degradation
from tests.support.images import another_shot, astronaut, cast, jpeg


def test_faces_are_named_by_person_and_file() -> None:
    rows = without_degradation(np.eye(2))
    gallery = Gallery(rows, (Path("/data/ann/1.jpg"), Path("/data/bob/2.jpg")), ("ann", "bob"), {})
    measurement = Measurement(count_pairs(rows, gallery.people), gallery)
    assert measurement.faces.names == ["ann/1.jpg", "bob/2.jpg"]


def test_listed_pairs_are_counted_and_failures_are_reported(
    settings: Settings, store: Store, pack: Pack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blank = np.full((100, 100, 3), 200, dtype=np.uint8)
    for name, image in {"a": astronaut(), "b": another_shot(astronaut()), "c": cast(), "blank": blank}.items():
        (tmp_path / f"{name}.jpg").write_bytes(jpeg(image))
    (tmp_path / "pairs.txt").write_text("a.jpg b.jpg same\na.jpg c.jpg different\nb.jpg blank.jpg different\n")
    measurement = measure(settings, store, pack, None, tmp_path / "pairs.txt")
    assert (measurement.counts.genuine_pairs, measurement.counts.impostor_pairs) == (1, 1)
    assert measurement.listed is not None
    assert not measurement.listed.has_people
    assert "warning: 1 image is left out: InvalidParameterValue.NoFaceInPhoto" in capsys.readouterr().err


def test_the_precision_is_that_of_the_selected_embedder(
    settings: Settings, store: Store, pack: Pack, tmp_path: Path
) -> None:
    for name in "ab":
        (tmp_path / f"{name}.jpg").write_bytes(jpeg(astronaut()))
    (tmp_path / "pairs.txt").write_text("a.jpg b.jpg same\n")
    for is_int8 in (False, True):
        runtime = settings.runtime.model_copy(update={"int8": is_int8})
        changed = settings.model_copy(update={"runtime": runtime})
        networks = open_pipelines(changed, store, pack, open_shared_resources(changed)).networks
        measurement = measure(changed, store, pack, None, tmp_path / "pairs.txt")
        assert (measurement.precision == "int8") == any("int8" in name for name in networks)
        assert is_int8 or measurement.precision == "float32"


def test_a_folder_or_a_list_is_required(settings: Settings, store: Store, pack: Pack) -> None:
    with pytest.raises(GalleryError, match="name a folder of faces, or a list of pairs"):
        measure(settings, store, pack, None)


def test_groups_of_a_folder_are_counted_separately(
    settings: Settings, store: Store, pack: Pack, tmp_path: Path
) -> None:
    images = {"north/ann/1": astronaut(), "north/ann/2": another_shot(astronaut()), "south/bob/1": cast()}
    for name, image in images.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.jpg").write_bytes(jpeg(image))
    measurement = measure(settings, store, pack, tmp_path, has_groups=True)
    assert (measurement.counts.genuine_pairs, measurement.counts.impostor_pairs, measurement.people) == (1, 2, 2)
    assert {name: (group.people, group.counts.impostor_pairs) for name, group in measurement.groups.items()} == {
        "north": (1, 0),
        "south": (1, 0),
    }


def test_groups_of_listed_pairs_are_counted_separately(
    settings: Settings, store: Store, pack: Pack, tmp_path: Path
) -> None:
    blank = np.full((100, 100, 3), 200, dtype=np.uint8)
    for name, image in {"a": astronaut(), "b": another_shot(astronaut()), "c": cast(), "blank": blank}.items():
        (tmp_path / f"{name}.jpg").write_bytes(jpeg(image))
    lines = ("a.jpg b.jpg same north", "b.jpg c.jpg 0 north", "a.jpg c.jpg 0 -", "c.jpg blank.jpg 0 north")
    (tmp_path / "pairs.txt").write_text("\n".join(lines))
    measurement = measure(settings, store, pack, None, tmp_path / "pairs.txt", has_groups=True)
    assert (measurement.counts.genuine_pairs, measurement.counts.impostor_pairs) == (1, 2)
    (group,) = measurement.groups.values()
    assert (group.counts.genuine_pairs, group.counts.impostor_pairs, group.people) == (1, 1, 0)
    assert [path.name for path in group.gallery.failures] == ["blank.jpg"]


def test_the_pairs_of_lfw_have_no_groups(settings: Settings, store: Store, pack: Pack, tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="--groups needs a list of pairs with a column of groups"):
        measure(settings, store, pack, tmp_path, tmp_path / "pairs.txt", has_groups=True)
