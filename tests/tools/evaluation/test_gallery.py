from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.errors import ErrorCode
from app.service.face_pipeline import EmbeddingPipeline
from app.tools.evaluation.gallery import GalleryError, embed_pictures, list_pictures
from tests.support.images import another_shot, astronaut, cast, jpeg


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in {
        "collins/1.jpg": jpeg(astronaut()),
        "collins/2.JPG": jpeg(another_shot(astronaut())),
        "somebody/1.jpeg": jpeg(cast()),
        "somebody/blank.png": jpeg(np.full((100, 100, 3), 200, dtype=np.uint8)),
        "somebody/broken.png": b"not a picture",
        "somebody/notes.txt": b"",
        "stray.jpg": b"",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_pictures_of_people_are_listed_in_a_fixed_order(folder: Path) -> None:
    assert [str(path.relative_to(folder)) for path in list_pictures(folder)] == [
        "collins/1.jpg",
        "collins/2.JPG",
        "somebody/1.jpeg",
        "somebody/blank.png",
        "somebody/broken.png",
    ]


def test_pictures_become_unit_embeddings_with_their_people(folder: Path, embedding_pipeline: EmbeddingPipeline) -> None:
    gallery = embed_pictures(embedding_pipeline, list_pictures(folder), 2, iter)
    assert gallery.people == ("collins", "collins", "somebody")
    assert {path.name: code for path, code in gallery.refused.items()} == {
        "blank.png": ErrorCode.NO_FACE_IN_PHOTO,
        "broken.png": ErrorCode.IMAGE_DECODE_FAILED,
    }
    np.testing.assert_allclose(np.linalg.norm(gallery.embeddings, axis=1), 1.0, atol=1e-6)
    same, different = gallery.embeddings[0] @ gallery.embeddings[1], gallery.embeddings[0] @ gallery.embeddings[2]
    assert same > different


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="no pictures"):
        list_pictures(tmp_path)
    with pytest.raises(GalleryError, match="not a folder"):
        list_pictures(tmp_path / "absent")


def test_pictures_without_any_face_are_refused(tmp_path: Path, embedding_pipeline: EmbeddingPipeline) -> None:
    (tmp_path / "nobody").mkdir()
    (tmp_path / "nobody/1.jpg").write_bytes(jpeg(np.full((100, 100, 3), 200, dtype=np.uint8)))
    with pytest.raises(GalleryError, match="shows a face"):
        embed_pictures(embedding_pipeline, list_pictures(tmp_path), 2, iter)
