"""Prints the table of all settings for deploy/README.md: ``python -m deploy.settings_table``."""

import sys
from collections.abc import Iterator

from app.environment import environment_text, settings_fields


def settings_table() -> str:
    """Return a Markdown table with a row per setting: its variable, default and description."""
    return "\n".join(_rows())


def _rows() -> Iterator[str]:
    yield "| setting | default | description |"
    yield "|---|---|---|"
    for variable, field in settings_fields().items():
        yield f"| `{variable}` | {_default_text(field.default)} | {field.description} |"


def _default_text(value: object) -> str:
    text = environment_text(value)
    return f"`{text}`" if text else ""


if __name__ == "__main__":
    sys.stdout.write(settings_table() + "\n")
