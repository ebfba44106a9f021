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
    parser.epilog = "\n".join(f"  {name}\n      {field.description}" for name, field in settings_fields().items())
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def run(_: argparse.Namespace) -> int:
    values = [value for _, group in load_settings() for _, value in group]
    for name, value in zip(settings_fields(), values, strict=True):
        text = _text(value)
        print(f"# {name}={text}" if value is None or text == _MASK else f"{name}={text}")
    return 0


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
