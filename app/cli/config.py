"""``compareface config``: print the effective settings as ``NAME=value`` lines, with secrets masked.

Secrets and settings without a value are printed as comments, so that the output can be used as an environment file.
"""

import argparse
from enum import Enum

from pydantic import SecretStr

from app.environment import load_settings, settings_fields

_MASK = "********"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Print the effective settings, read from these environment variables:"
    settings = (
        f"  {name} ({_default_text(field.default)})\n      {field.description}"
        for name, field in settings_fields().items()
    )
    parser.epilog = "\n".join([*settings, "", str(parser.epilog)])
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def run(_: argparse.Namespace) -> int:
    values = [value for _, group in load_settings() for _, value in group]
    for name, value in zip(settings_fields(), values, strict=True):
        text = _text(value)
        print(f"# {name}={text}" if value is None or text == _MASK else f"{name}={text}")
    return 0


def _default_text(value: object) -> str:
    text = _text(value)
    return f"default: {text}" if text else "no default"


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case SecretStr():
            return _MASK if value.get_secret_value() else ""
        case tuple():
            return ",".join(value)
        case Enum():
            return str(value.value)
    return str(value)
