"""Prints the table of all settings for deploy/README.md: ``python -m deploy.settings_table``."""

import sys
from collections.abc import Iterator
from enum import Enum

from pydantic import SecretStr

from app.environment import settings_fields


def settings_table() -> str:
    """Return a Markdown table with a row per setting: its variable, default and description."""
    return "\n".join(_rows())


def _rows() -> Iterator[str]:
    yield "| setting | default | description |"
    yield "|---|---|---|"
    for variable, field in settings_fields().items():
        yield f"| `{variable}` | {_default_text(field.default)} | {field.description} |"


def _default_text(value: object) -> str:
    """Return a default as an environment variable would set it; empty for secrets and missing defaults."""
    if value is None or value == () or isinstance(value, SecretStr):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value.value if isinstance(value, Enum) else value}`"


if __name__ == "__main__":
    sys.stdout.write(settings_table() + "\n")
