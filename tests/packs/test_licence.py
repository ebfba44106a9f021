from __future__ import annotations

from pathlib import Path

import pytest

from app.packs import licence
from app.packs.manifest import Licence, Pack


@pytest.fixture
def restricted(pack: Pack) -> Licence:
    return pack.licence.model_copy(update={"name": 'The "research" licence', "needs_acceptance": True})


def test_a_free_licence_needs_no_record(pack: Pack, tmp_path: Path) -> None:
    assert licence.is_accepted(pack.licence, tmp_path)


def test_a_restricted_licence_is_accepted_once_recorded(restricted: Licence, tmp_path: Path) -> None:
    assert not licence.is_accepted(restricted, tmp_path)
    licence.record_acceptance(restricted, tmp_path)
    assert licence.is_accepted(restricted, tmp_path)


@pytest.mark.parametrize("changes", [{"name": "another licence"}, {"url": "https://example.org/2"}])
def test_a_changed_licence_must_be_accepted_again(restricted: Licence, tmp_path: Path, changes: dict[str, str]) -> None:
    licence.record_acceptance(restricted, tmp_path)
    assert not licence.is_accepted(restricted.model_copy(update=changes), tmp_path)


def test_a_damaged_record_is_no_acceptance(restricted: Licence, tmp_path: Path) -> None:
    licence.record_acceptance(restricted, tmp_path)
    (record,) = tmp_path.iterdir()
    record.write_bytes(b"\xff")
    assert not licence.is_accepted(restricted, tmp_path)
