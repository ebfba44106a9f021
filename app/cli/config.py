"""``compareface config``: print the effective settings as ``NAME=value`` lines, with secrets masked.

A setting without a value is printed as a comment, so that the output can be used as an environment file.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from enum import Enum

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from app.environment import Settings, environment_names, load_settings

_MASK = "********"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Print the effective settings, read from these environment variables:"
    parser.epilog = _descriptions()
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def run(_: argparse.Namespace) -> int:
    for name, (value, _field) in zip(environment_names(), _fields(load_settings()), strict=True):
        print(f"# {name}=" if value is None else f"{name}={_text(value)}")
    return 0


def _descriptions() -> str:
    rows = zip(environment_names(), _fields(Settings.model_construct()), strict=True)
    return "\n".join(f"  {name}\n      {field.description}" for name, (_, field) in rows)


def _fields(settings: Settings) -> Iterator[tuple[object, FieldInfo]]:
    """Yield the value and the field of every setting, in the order of ``environment_names``."""
    for name in Settings.model_fields:
        group = getattr(settings, name)
        if isinstance(group, BaseModel):
            for field, info in type(group).model_fields.items():
                yield getattr(group, field), info


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return _MASK if value.get_secret_value() else ""
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value.value if isinstance(value, Enum) else value)
