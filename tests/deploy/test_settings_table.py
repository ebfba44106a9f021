import re
from pathlib import Path

from app.environment import settings_fields
from deploy.settings_table import settings_table

_DOCUMENT = Path(__file__).resolve().parents[2] / "deploy" / "README.md"


def test_the_table_has_a_row_for_each_setting() -> None:
    assert re.findall(r"^\| `(\w+)` \|", settings_table(), flags=re.MULTILINE) == list(settings_fields())


def test_defaults_are_written_as_in_an_environment_variable() -> None:
    rows = dict(re.findall(r"^\| `COMPAREFACE_(\w+)` \| (.*?) \|", settings_table(), flags=re.MULTILINE))
    assert rows["SERVER__PORT"] == "`8000`"
    assert rows["PLAYGROUND__ENABLED"] == "`false`"
    assert rows["COMPARE__MATCHING_STRATEGY"] == "`1`"
    assert rows["QUALITY__POLICY"] == "`accept-described`"
    assert rows["AUTH__KEYS"] == rows["FETCH__ALLOW"] == rows["MODELS__WEIGHTS_DIR"] == ""


def test_the_documentation_contains_the_current_table() -> None:
    """``python -m deploy.settings_table`` prints it."""
    text = _DOCUMENT.read_text(encoding="utf-8")
    section = re.search(r"<!-- settings -->\n(.*?)\n<!-- /settings -->", text, flags=re.DOTALL)
    assert section is not None
    assert section[1].strip() == settings_table()
