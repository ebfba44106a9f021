from pathlib import Path

import numpy as np
import pytest

from app.errors import ErrorCode
from app.service.face_pipeline import EmbeddingPipeline
from app.tools.evaluation.gallery import GalleryError, embed_images, list_images
from tests.support.images import another_shot, astronaut, cast, jpeg


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in {
        "collins/1.jpg": jpeg(astronaut()),
        "collins/2.JPG": jpeg(another_shot(astronaut())),
        "victor/1.jpeg": jpeg(cast()),
        "victor/blank.png": jpeg(np.full((100, 100, 3), 200, dtype=np.uint8)),
        "victor/broken.png": b"not an image",
        "victor/notes.txt": b"",
        "stray.jpg": b"",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_images_are_listed_in_a_fixed_order(folder: Path) -> None:
    assert [str(path.relative_to(folder)) for path in list_images(folder)] == [
        "collins/1.jpg",
        "collins/2.JPG",
        "victor/1.jpeg",
        "victor/blank.png",
        "victor/broken.png",
    ]


def test_images_become_unit_embeddings_with_their_people(folder: Path, embedding_pipeline: EmbeddingPipeline) -> None:
    gallery = embed_images(embedding_pipeline, list_images(folder), 2)
    assert gallery.people == ("collins", "collins", "victor")
    assert {path.name: code for path, code in gallery.failures.items()} == {
        "blank.png": ErrorCode.NO_FACE_IN_PHOTO,
        "broken.png": ErrorCode.IMAGE_DECODE_FAILED,
    }
    np.testing.assert_allclose(np.linalg.norm(gallery.embeddings[:, :-1], axis=1), 1.0, atol=1e-6)
    same, different = gallery.embeddings[0] @ gallery.embeddings[1], gallery.embeddings[0] @ gallery.embeddings[2]
    assert same > different


def test_a_folder_without_images_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="no images"):
        list_images(tmp_path)
    with pytest.raises(GalleryError, match="not a folder"):
        list_images(tmp_path / "absent")


def test_images_without_any_face_are_rejected(tmp_path: Path, embedding_pipeline: EmbeddingPipeline) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/1.jpg").write_bytes(jpeg(np.full((100, 100, 3), 200, dtype=np.uint8)))
    with pytest.raises(GalleryError, match="shows a face"):
        embed_images(embedding_pipeline, list_images(tmp_path), 2)
