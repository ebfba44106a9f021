"""The texts of the report exist in both languages, and the report uses all of them."""

import re
from pathlib import Path

import pytest

from app.tools.evaluation import report_texts
from app.tools.evaluation.report_texts import LANGUAGES, Texts

_TEXTS = report_texts.load()
_SOURCES = "".join(
    (Path(report_texts.__file__).parent / name).read_text(encoding="utf-8") for name in ("report.py", "curves.py")
)


@pytest.mark.parametrize("key", _TEXTS)
def test_each_text_has_the_same_values_in_both_languages(key: str) -> None:
    english, chinese = _TEXTS[key]
    assert english.strip()
    assert chinese.strip()
    assert sorted(re.findall(r"\{\w+\}|<code>.*?</code>", english)) == sorted(
        re.findall(r"\{\w+\}|<code>.*?</code>", chinese)
    )


def test_every_text_is_used() -> None:
    composed = ("status:", "caution:")  # texts(f"status:{status}")
    names = {key: key.split(":")[-1] for key in _TEXTS if not key.startswith(composed)}
    assert [key for key, name in names.items() if not re.search(rf"""["']{name}["']""", _SOURCES)] == []


def test_values_are_inserted_and_a_missing_text_is_empty() -> None:
    english, chinese = map(Texts, LANGUAGES)
    assert english("farAt", score=40) == "FAR at 40"
    assert chinese("farAt", score=40) == "40 处的误识率"
    assert english.get("caution:measured") == ""
    with pytest.raises(KeyError):
        english("caution:measured")
