from pathlib import Path

import numpy as np
import pytest

from app.service.face_pipeline import EmbeddingPipeline
from app.tools.evaluation.gallery import GalleryError, embed_images
from app.tools.evaluation.pair_list import PairList, read_lfw, read_list
from app.tools.evaluation.pairs import count_listed_pairs
from tests.support.images import another_shot, astronaut, cast, jpeg


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("ann/ann_0001.jpg", "ann/ann_0012.jpg", "bob/bob_0002.png", "b b.jpg", "c, c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def _write(folder: Path, text: str) -> Path:
    (folder / "pairs.txt").write_text(text, encoding="utf-8")
    return folder / "pairs.txt"


def _named_pairs(pairs: PairList) -> list[tuple[str, str, bool]]:
    names = [path.name for path in pairs.images]
    return [(names[a], names[b], bool(same)) for (a, b), same in zip(pairs.pairs, pairs.same, strict=True)]


@pytest.mark.parametrize(
    "text",
    [
        "ann/ann_0001.jpg ann/ann_0012.jpg same\nann/ann_0001.jpg\tb b.jpg\tdifferent\n",
        'ann/ann_0001.jpg,ann/ann_0012.jpg,1\nann/ann_0001.jpg, "b b.jpg", 0',
        "\ufeffa,b,label\nann/ann_0001.jpg,ann/ann_0012.jpg,TRUE\r\n\r\n# comment\nann/ann_0001.jpg,b b.jpg,False\r\n",
        "ann/ann_0001.jpg ann/ann_0012.jpg 1\nann/ann_0012.jpg ann/ann_0001.jpg same\nann/ann_0001.jpg\tb b.jpg\t0\n",
    ],
)
def test_a_list_of_pairs_is_read(folder: Path, text: str) -> None:
    assert _named_pairs(read_list(_write(folder, text))) == [
        ("ann_0001.jpg", "ann_0012.jpg", True),
        ("ann_0001.jpg", "b b.jpg", False),
    ]


def test_names_with_commas_need_quotes_or_tabs(folder: Path) -> None:
    quoted = read_list(_write(folder, '"c, c.jpg",b b.jpg,different'))
    assert (
        _named_pairs(quoted)
        == _named_pairs(read_list(_write(folder, "c, c.jpg\tb b.jpg\t0")))
        == [("c, c.jpg", "b b.jpg", False)]
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ann/ann_0001.jpg b.jpg", "line 1: expected `A B same`"),
        ("ann/ann_0001.jpg ann/ann_0012.jpg perhaps", "line 1: expected"),
        ("# pairs\nann/ann_0001.jpg absent.jpg 0", "line 2: .*absent.jpg is not a file"),
        ("ann/ann_0001.jpg ann/ann_0001.jpg same", "line 1: an image is compared with itself"),
        ("ann/ann_0001.jpg\tb b.jpg\t0\nb b.jpg\tann/ann_0001.jpg\t1", "line 2: .* the other label"),
        ("a,b,label\n", "lists no pairs"),
        ("", "lists no pairs"),
    ],
)
def test_an_invalid_line_of_a_list_is_reported_with_its_number(folder: Path, text: str, message: str) -> None:
    with pytest.raises(GalleryError, match=message):
        read_list(_write(folder, text))


def test_a_list_may_have_groups(folder: Path) -> None:
    text = "a\tb\tlabel\tgroup\nann/ann_0001.jpg\tann/ann_0012.jpg\tsame\tnorth\nann/ann_0001.jpg\tb b.jpg\t0\t-\n"
    pairs = read_list(_write(folder, text + "bob/bob_0002.png\tb b.jpg\t0\tsouth east\n"), has_groups=True)
    assert [label for *_, label in _named_pairs(pairs)] == [True, False, False]
    assert pairs.groups.tolist() == ["north", "", "south east"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ann/ann_0001.jpg ann/ann_0012.jpg same", "line 1: expected `A B same GROUP`"),
        ("ann/ann_0001.jpg ann/ann_0012.jpg perhaps x", "line 1: expected `A B same GROUP`"),
        ("ann/ann_0001.jpg ann/ann_0012.jpg same -", "names no group"),
        (
            "ann/ann_0001.jpg ann/ann_0012.jpg 1 x\nann/ann_0012.jpg bob/bob_0002.png 0 y",
            "line 2: groups overlap: .*ann_0012.jpg is in the groups x and y",
        ),
        ("ann/ann_0001.jpg ann/ann_0012.jpg 1 x\nann/ann_0012.jpg ann/ann_0001.jpg 1 -", "line 2: .* another group"),
    ],
)
def test_a_list_without_separate_groups_is_rejected(folder: Path, text: str, message: str) -> None:
    with pytest.raises(GalleryError, match=message):
        read_list(_write(folder, text), has_groups=True)


def test_a_binary_file_is_rejected(folder: Path) -> None:
    (folder / "pairs.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(GalleryError, match="not text"):
        read_list(folder / "pairs.txt")


@pytest.mark.parametrize("header", ["", "10\t300\n", "1\n"])
def test_lfw_pairs_are_read(folder: Path, header: str) -> None:
    pairs = read_lfw(_write(folder, f"{header}ann\t1\t12\nann\t12\tbob\t2\n"), folder)
    assert _named_pairs(pairs) == [("ann_0001.jpg", "ann_0012.jpg", True), ("ann_0012.jpg", "bob_0002.png", False)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ann 1 12\n10 300", "line 2: expected `NAME N1 N2`"),
        ("ann one 12", "line 1: expected"),
        ("ann 1 bob 2 3", "line 1: expected"),
        ("10 300\nann 1 bob 3", "line 2: there is no image .*bob_0003.jpg"),
    ],
)
def test_an_invalid_line_of_lfw_pairs_is_reported_with_its_number(folder: Path, text: str, message: str) -> None:
    with pytest.raises(GalleryError, match=message):
        read_lfw(_write(folder, text), folder)


def test_lfw_pairs_need_an_existing_folder(folder: Path) -> None:
    with pytest.raises(GalleryError, match="absent is not a folder"):
        read_lfw(_write(folder, "ann 1 12"), folder / "absent")


@pytest.mark.shared
def test_the_official_lfw_pairs_are_read(shared: Path) -> None:
    pairs = read_lfw(shared / "data/lfw_pairs.txt", shared / "data/lfw")
    assert len(pairs.pairs) == len((shared / "data/lfw_pairs.txt").read_text().splitlines())
    assert 0.3 < pairs.same.mean() < 0.7


def test_pairs_with_an_image_without_a_face_are_left_out(tmp_path: Path, embedding_pipeline: EmbeddingPipeline) -> None:
    blank = np.full((100, 100, 3), 200, dtype=np.uint8)
    for name, pixels in {"x": blank, "a": astronaut(), "b": another_shot(astronaut()), "c": cast()}.items():
        (tmp_path / f"{name}.jpg").write_bytes(jpeg(pixels))
    listed = read_list(_write(tmp_path, "x.jpg a.jpg 0\na.jpg b.jpg 1\nb.jpg c.jpg 0\na.jpg c.jpg 0\n"))
    gallery = embed_images(embedding_pipeline, listed.images, 2)
    embedded = listed.embedded_pairs(gallery, has_people=False)
    assert [[gallery.images[row].name for row in pair] for pair in embedded.pairs] == [
        ["a.jpg", "b.jpg"],
        ["b.jpg", "c.jpg"],
        ["a.jpg", "c.jpg"],
    ]
    counts = count_listed_pairs(gallery.embeddings, embedded)
    assert (counts.genuine_pairs, counts.impostor_pairs) == (1, 2)
    assert counts.best_accuracy() == 1.0
