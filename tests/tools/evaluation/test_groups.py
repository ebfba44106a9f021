from pathlib import Path

import numpy as np
import pytest

from app.errors import ErrorCode
from app.tools.evaluation.gallery import Gallery, GalleryError
from app.tools.evaluation.groups import galleries_by_group, list_grouped_images, listed_pairs_of_group
from app.tools.evaluation.pair_list import PairList
from tests.support.embeddings import without_degradation


def _write(folder: Path, names: list[str]) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_images_are_listed_by_group_person_and_name(tmp_path: Path) -> None:
    names = ["north/ann/1.jpg", "north/bob/1.PNG", "south/eve/1.jpg", "south/eve/notes.txt", "stray.jpg"]
    images = list_grouped_images(_write(tmp_path, names))
    assert [str(path.relative_to(tmp_path)) for path in images] == names[:3]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["ann/1.jpg", "bob/1.jpg"], "ann/1.jpg has no group: --groups needs folders GROUP/PERSON/IMAGE.jpg"),
        (["north/ann/1.jpg", "north/2.jpg"], "north/2.jpg has no group"),
        (["north/ann/1.jpg", "south/ann/1.jpg"], "groups overlap: ann is in the groups north and south of "),
        (["north/ann/notes.txt"], "contains no images named GROUP/PERSON/IMAGE.jpg"),
        ([], "contains no images"),
    ],
)
def test_folders_without_separate_groups_are_rejected(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(GalleryError, match=message) as caught:
        list_grouped_images(_write(tmp_path, names))
    assert "\n" not in str(caught.value)


def test_a_missing_folder_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="absent is not a folder"):
        list_grouped_images(tmp_path / "absent")


def test_each_group_has_its_images_and_failures() -> None:
    paths = tuple(Path("/data") / name for name in ("north/ann/1.jpg", "north/bob/1.jpg", "south/eve/1.jpg"))
    failures = {
        Path("/data/south/eve/2.jpg"): ErrorCode.NO_FACE_IN_PHOTO,
        Path("/data/west/x/1.jpg"): ErrorCode.NO_FACE_IN_PHOTO,
    }
    gallery = Gallery(without_degradation(np.eye(3)), paths, ("ann", "bob", "eve"), failures)
    groups = galleries_by_group(gallery)
    assert {name: (group.people, len(group.failures)) for name, group in groups.items()} == {
        "north": (("ann", "bob"), 0),
        "south": (("eve",), 1),
        "west": ((), 1),
    }


def test_the_pairs_of_a_group_keep_their_images_and_failures() -> None:
    images = [Path(f"{index}.jpg") for index in range(8)]
    failures = dict.fromkeys(images[5:], ErrorCode.NO_FACE_IN_PHOTO)
    gallery = Gallery(without_degradation(np.eye(5)), tuple(images[:5]), ("x",) * 5, failures)
    pairs = np.array([[0, 1], [1, 2], [3, 4], [0, 4], [3, 5], [1, 6], [0, 7]])
    same = np.array([True, False, False, False, False, False, False])
    list_of_pairs = PairList(images, pairs, same, np.array(["a", "a", "b", "", "b", "a", ""]))
    listed = list_of_pairs.embedded_pairs(gallery, has_people=False)
    group, of_group = listed_pairs_of_group(gallery, list_of_pairs, listed, "b")
    assert [path.name for path in group.images] == ["3.jpg", "4.jpg"]
    assert [path.name for path in group.failures] == ["5.jpg"]
    assert (of_group.pairs.tolist(), of_group.same.tolist()) == ([[0, 1]], [False])
