from pathlib import Path

import cv2
import numpy as np
import pytest

from app.packs.manifest import Pack, PackError
from app.packs.store import Store
from app.tools.models.insightface_check import compare_with_insightface
from tests.support import standin
from tests.support.images import astronaut, jpeg


@pytest.fixture
def standin_store(shared: Path, tmp_path: Path) -> Store:
    catalogue = standin.installed(shared, tmp_path / "catalogue")
    return Store(catalogue, catalogue)


def _with_embedder(pack: Pack, **changes: object) -> Pack:
    return pack.model_copy(update={"embedder": pack.embedder.model_copy(update=changes)})


@pytest.mark.shared
def test_a_pack_of_insightface_agrees_on_the_group_photo_of_the_package(standin_store: Store) -> None:
    agreement = compare_with_insightface(standin_store, standin_store.pack("standin"))
    assert agreement.is_sufficient
    assert agreement.faces == 18  # six people at three sizes
    assert agreement.unmatched == 0
    assert agreement.eye_distances < 1e-4
    assert agreement.cosine > 0.9999
    assert str(agreement).startswith("largest landmark difference ")
    assert str(agreement).endswith("18 faces compared, 0 faces without a match")


@pytest.mark.shared
def test_portraits_larger_than_the_crop_agree_at_a_smaller_size(standin_store: Store, tmp_path: Path) -> None:
    portrait = cv2.resize(astronaut()[45:175, 165:285], None, fx=5, fy=5, interpolation=cv2.INTER_LINEAR)
    (tmp_path / "portrait.jpg").write_bytes(jpeg(np.asarray(portrait, np.uint8)))
    agreement = compare_with_insightface(standin_store, standin_store.pack("standin"), [tmp_path / "portrait.jpg"])
    assert agreement.is_sufficient
    assert agreement.faces >= 1


@pytest.mark.shared
@pytest.mark.parametrize(
    "changes",
    [{"color": "BGR"}, {"mean": (0.0, 0.0, 0.0)}, {"template": ((38, 62), (73, 62), (56, 82), (41, 102), (70, 102))}],
)
def test_a_wrong_record_of_the_embedder_is_detected(standin_store: Store, changes: dict[str, object]) -> None:
    agreement = compare_with_insightface(standin_store, _with_embedder(standin_store.pack("standin"), **changes))
    assert agreement.cosine < 0.99
    assert not agreement.is_sufficient


@pytest.mark.shared
def test_images_without_a_face_are_rejected(standin_store: Store, tmp_path: Path) -> None:
    (tmp_path / "blank.jpg").write_bytes(jpeg(np.full((100, 100, 3), 200, np.uint8)))
    with pytest.raises(PackError, match="none of the images shows a face"):
        compare_with_insightface(standin_store, standin_store.pack("standin"), [tmp_path / "blank.jpg"])


def test_a_pack_without_files_of_insightface_is_rejected(store: Store, pack: Pack) -> None:
    names = "antelopev2, buffalo_l, buffalo_m, buffalo_s, buffalo_sc"
    with pytest.raises(PackError, match=f"^pack open is not made of files of insightface; .* checked: {names}$"):
        compare_with_insightface(store, pack)


@pytest.mark.shared
def test_changed_files_are_rejected(standin_store: Store) -> None:
    pack = standin_store.pack("standin")
    (standin_store.folder(pack) / "mobilefacenet.onnx").write_bytes(b"changed")
    with pytest.raises(PackError, match=r"mobilefacenet\.onnx is changed"):
        compare_with_insightface(standin_store, pack)
