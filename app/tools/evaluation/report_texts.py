"""Texts of the report for its tables and charts, from ``report.json``: {key: [English, Chinese]}."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

LANGUAGES = ("en", "zh-CN")
_FILE = Path(__file__).with_name("report.json")


class Texts:
    """The texts in one of :data:`LANGUAGES`."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._column = LANGUAGES.index(language)

    def __call__(self, key: str, **values: object) -> str:
        """Return the text ``key``, HTML, with ``values`` in place of ``{name}``."""
        return load()[key][self._column].format(**values)

    def get(self, key: str) -> str:
        """Return the text ``key``, or "" if there is none."""
        return self(key) if key in load() else ""


@cache
def load() -> Mapping[str, tuple[str, str]]:
    """Return all texts: English, Chinese."""
    return {key: (english, chinese) for key, (english, chinese) in json.loads(_FILE.read_text("utf-8")).items()}
