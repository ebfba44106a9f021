"""The documentation names what exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.cli import COMMANDS
from app.environment import environment_names
from app.errors import ErrorCode
from benchmarks import tables

_ROOT = Path(__file__).resolve().parents[2]
_README = (_ROOT / "README.md").read_text(encoding="utf-8")
_ARCHITECTURE = (_ROOT / "app/README.md").read_text(encoding="utf-8")
_PAGES = [*_ROOT.glob("*.md"), *_ROOT.glob("[a-z]*/**/*.md")]


def test_every_setting_has_its_row_in_the_readme() -> None:
    rows = set(re.findall(r"^\| `(COMPAREFACE_\w+)` \|", _README, flags=re.MULTILINE))
    assert rows == set(environment_names())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    assert f"compareface {command}" in _README


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_error_code_is_documented(code: ErrorCode) -> None:
    assert f"`{code.value}`" in _ARCHITECTURE


def _modules() -> list[str]:
    paths = sorted((_ROOT / "app").glob("**/*.py"))
    names = [str(path.relative_to(_ROOT / "app")) for path in paths]
    return [name for name in names if "__" not in name and not name.startswith("cli/")]


def test_every_module_is_in_the_reading_order() -> None:
    assert len(_modules()) > 25
    assert [name for name in _modules() if f"`{name}`" not in _ARCHITECTURE] == []


def test_every_make_target_is_named_in_the_documentation() -> None:
    targets = re.findall(r"^([a-z-]+):.*##", (_ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    text = _README + (_ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert len(targets) >= 8
    assert [target for target in targets if target not in {"help", "clean"} and target not in text] == []


def test_the_tables_of_measurements_are_those_of_the_results() -> None:
    """``python -m benchmarks.tables`` prints them."""
    rows = [*tables.scores(), *tables.packs(), *tables.quality(), *tables.speed()]
    assert len(rows) > 15
    assert [row for row in rows if row not in _README] == []
    operators = (_ROOT / "deploy/README.md").read_text(encoding="utf-8")
    assert [row for row in tables.sizing() if row not in operators] == []


def test_the_pages_are_found() -> None:
    assert len(_PAGES) >= 6


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(_ROOT)))
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
