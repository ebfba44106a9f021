"""Describe pydantic validation errors to an operator."""

from collections.abc import Callable
from typing import TypeAlias

from pydantic import ValidationError

Location: TypeAlias = tuple[int | str, ...]
"""Path of a value: names of fields, keys of mappings, and indices."""


def dotted(location: Location) -> str:
    """Return ``callers.a.keys.0`` for ``("callers", "a", "keys", 0)``."""
    return ".".join(map(str, location))


def describe_validation_error(error: ValidationError, name_of: Callable[[Location], str] = dotted) -> str:
    """Return all problems as ``name: message``, separated by semicolons, without the rejected values.

    ``name_of`` returns the operator's name for a location. A problem without a location has no name.
    """
    problems = []
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        is_switch = detail["type"] in {"bool_parsing", "bool_type"}
        message = "Input should be 'true' or 'false'" if is_switch else detail["msg"].removeprefix("Value error, ")
        problems.append(f"{name_of(detail['loc'])}: {message}" if detail["loc"] else message)
    return "; ".join(problems)
