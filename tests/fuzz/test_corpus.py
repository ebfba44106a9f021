"""Every target passes with the corpus: the inputs of ``tests/fuzz/seeds.py``, and inputs that once failed."""

from pathlib import Path

import pytest

from app.errors import ApiError, ErrorCode
from app.imaging.decode import decode
from tests.fuzz.run import NAMES
from tests.fuzz.seeds import CORPUS, seeds
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*/*")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_target_passes_with_the_seed(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


def test_every_target_has_seeds_and_the_corpus_is_small() -> None:
    assert set(NAMES) == set(TARGETS) == {target for target, _, _ in seeds()}
    assert sum(len(content) for _, _, content in seeds()) < 100_000


def test_a_png_without_its_palette_is_a_decode_error() -> None:
    """Found by fuzzing: Pillow asserts that the palette exists."""
    with pytest.raises(ApiError) as caught:
        decode((CORPUS / "image" / "no_palette.png").read_bytes())
    assert caught.value.code is ErrorCode.IMAGE_DECODE_FAILED
