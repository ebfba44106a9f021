"""The documentation is complete, short, and free of dead links; tests mirror the modules of ``app``."""

import re
from pathlib import Path

import pytest

from app.cli import COMMANDS
from app.errors import ErrorCode
from benchmarks import tables

_ROOT = Path(__file__).resolve().parents[2]
_PAGES = sorted([*_ROOT.glob("*.md"), *_ROOT.glob("[a-z]*/**/*.md")])
_MAX_README_BYTES = 12 * 1024
_MAX_TOTAL_BYTES = 125_000

_TESTED_BY = {
    "types only": ("imaging/stripped.py", "service/services.py"),
    "a Ray cluster: `make ray-test`": ("tools/batch/cluster.py",),
    "tests/api/actions/test_compare_face.py": ("api/actions/fields.py",),
    "tests/cli/test_compare.py": ("cli/arguments.py",),
    "tests/contract/test_catalogue.py": ("errors.py",),
    "tests/imaging/test_decoder_pool.py": ("imaging/decoder_process.py", "service/errors.py"),
    "tests/test_environment.py": ("setting_types.py", "settings.py"),
    "tests/vision/test_selection.py": ("domain.py",),
}
"""Test file or reason: the modules without a mirrored test file."""


def _text(*names: str) -> str:
    return "\n".join((_ROOT / name).read_text(encoding="utf-8") for name in names)


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_readme_is_short(name: str) -> None:
    assert (_ROOT / name).stat().st_size <= _MAX_README_BYTES


def test_the_documentation_is_short() -> None:
    assert len(_PAGES) >= 6
    assert sum(page.stat().st_size for page in _PAGES) < _MAX_TOTAL_BYTES


@pytest.mark.parametrize("name", ["README", "deploy/MIGRATING"])
def test_the_chinese_page_has_the_structure_and_the_code_of_the_english_one(name: str) -> None:
    english, chinese = _structure(_text(f"{name}.md")), _structure(_text(f"{name}.zh-CN.md"))
    assert len(english) > 10
    assert chinese == english


def _structure(text: str) -> list[str]:
    """Return the levels of headings, the code blocks without comments, and the number of columns of table rows."""
    parts = re.findall(r"^```.*?^```|^#+ |^\d+\. |^\|[^\n]*", text, flags=re.MULTILINE | re.DOTALL)
    return [re.sub(r"\s+(?:#|//) .*", "", part) if part.startswith("```") else _kind(part) for part in parts]


def _kind(line: str) -> str:
    return f"row of {line.count('|')}" if line.startswith("|") else line.strip()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    assert f"compareface {command}" in _text("README.md", "deploy/README.md")


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_error_code_is_documented(code: ErrorCode) -> None:
    assert f"`{code.value}`" in _text("deploy/ERRORS.md")


def test_every_make_target_is_documented() -> None:
    targets = re.findall(r"^([a-z-]+):.*##", _text("Makefile"), flags=re.MULTILINE)
    text = _text("README.md", "CONTRIBUTING.md")
    assert len(targets) >= 8
    documented = {target for command in re.findall(r"\bmake ([a-z -]+)", text) for target in command.split()}
    assert set(targets) - documented <= {"help", "clean"}


def test_the_measurements_in_the_documentation_are_current() -> None:
    """``python -m benchmarks.tables`` prints them."""
    rows = [
        *tables.scores(),
        *tables.packs(),
        *tables.populations("omz"),
        *tables.populations("open"),
        *tables.held_out(),
        *tables.quality(),
        *tables.degraded(),
        *tables.degraded_pairs(),
        *tables.highest_degraded_fars(),
        *tables.stability(),
        *tables.face_sizes(),
        *tables.speed(),
        *tables.sizing(),
    ]
    text = _text(*(str(page.relative_to(_ROOT)) for page in _PAGES))
    assert len(rows) > 15
    assert [row for row in rows if row not in text] == []


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(_ROOT)))
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8"))
    targets = [((page.parent / path) if path else page, anchor) for path, anchor in links]
    assert [str(target) for target, _ in targets if not target.exists()] == []
    assert [anchor for target, anchor in targets if anchor and anchor not in _anchors(target)] == []


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_readme_has_a_table_of_contents(name: str) -> None:
    (contents,) = re.findall(r"^(?:Contents: |目录：)((?:.+\n)+)", _text(name), flags=re.MULTILINE)
    _, *sections, _ = _anchors(_ROOT / name)  # without the title and the links at the end
    assert re.findall(r"\]\(#([^)]+)\)", contents) == sections


def _anchors(page: Path) -> list[str]:
    """Return the anchors of the headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


def _modules() -> list[str]:
    paths = sorted((_ROOT / "app").glob("**/*.py"))
    return [str(path.relative_to(_ROOT / "app")) for path in paths if path.name not in {"__init__.py", "__main__.py"}]


def _mirrored_test(module: str) -> Path:
    path = _ROOT / "tests" / module
    return path.with_name(f"test_{path.name}")


@pytest.mark.parametrize("module", _modules())
def test_the_module_table_lists_the_module(module: str) -> None:
    path = Path(module)
    names = (f"`{path.stem}`", f"`detect/{path.stem}`", f"`{path.parent.name}/`")
    assert any(name in _text("app/README.md") for name in names)


@pytest.mark.parametrize("module", _modules())
def test_a_test_file_mirrors_the_module(module: str) -> None:
    exceptions = [name for names in _TESTED_BY.values() for name in names]
    assert _mirrored_test(module).is_file() or module in exceptions


def test_the_exceptions_are_current() -> None:
    exceptions = [name for names in _TESTED_BY.values() for name in names]
    assert [name for name in exceptions if _mirrored_test(name).is_file() or name not in _modules()] == []
    assert [path for path in _TESTED_BY if path.startswith("tests/") and not (_ROOT / path).is_file()] == []
