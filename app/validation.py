"""Describe pydantic validation errors to an operator."""

import difflib
import re
from collections.abc import Callable, Collection
from typing import TypeAlias

from pydantic import ValidationError

Location: TypeAlias = tuple[int | str, ...]
"""Path of a value: names of fields, keys of mappings, and indices."""

_MESSAGES = {
    "missing": "is missing",
    "extra_forbidden": "is not a known name",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of fewer digits",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be {ge:.10g} or more",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be {le:.10g} or less",
    "multiple_of": "must be a multiple of {multiple_of:g}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "string_type": "must be a string",
    "string_too_short": "must be non-empty",
    "string_pattern_mismatch": "must match the regular expression {pattern}",
    "datetime_type": "must be a date and time with a time zone, such as 2030-01-01T00:00:00Z",
    "datetime_parsing": "must be a date and time with a time zone, such as 2030-01-01T00:00:00Z",
    "datetime_from_date_parsing": "must be a date and time with a time zone, such as 2030-01-01T00:00:00Z",
    "timezone_aware": "must be a date and time with a time zone, such as 2030-01-01T00:00:00Z",
    "tuple_type": "must be a list",
    "frozen_set_type": "must be a list",
    "too_short": "must have {min_length} entries or more",
    "too_long": "must have {max_length} entries or fewer",
    "mapping_type": "must be a table",
    "dict_type": "must be a table",
    "model_type": "must be a table",
}
"""Texts by pydantic's type of error; pydantic's own text is used for the others."""

_MIN_SIMILARITY = 0.85
_BEFORE_HOST = re.compile(r".*@", re.DOTALL)


def describe_validation_error(
    error: ValidationError,
    name_of: Callable[[Location], str] = lambda location: ".".join(map(str, location)),
    *,
    show_values: bool = False,
    known_names: Collection[str] = (),
) -> str:
    """Return all problems as ``name: message``, separated by semicolons.

    ``name_of`` returns the operator's name for a location, by default ``callers.a.keys.0``; "" for none.
    Messages of our validators are complete. With ``show_values``, the other messages end with the rejected value.
    ``known_names``: names to suggest for an unknown one.
    """
    problems = []
    for detail in error.errors(include_url=False):
        template, value = _MESSAGES.get(detail["type"]), detail["input"]
        if template is None:
            message = detail["msg"].removeprefix("Value error, ")
        else:
            message = template.format(**detail.get("ctx", {}))
            if detail["type"] == "extra_forbidden":
                message += suggestion(str(detail["loc"][-1]), known_names)
            elif show_values and isinstance(value, str | int | float):
                message += f", not {shown(value) if isinstance(value, str) else value}"
        name = name_of(detail["loc"]) if detail["loc"] else ""
        problems.append(f"{name}: {message}" if name else message)
    return "; ".join(problems)


def is_text(value: str) -> bool:
    """Return whether ``value`` has no surrogates, as which Python decodes bytes that are not text."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(value: str) -> str:
    """Return a rejected value for a message: quoted, without the user name and password of a URL."""
    return repr(_BEFORE_HOST.sub("***@", value))


def suggestion(name: str, known: Collection[str]) -> str:
    """Return " (did you mean ...?)" with the most similar of the ``known`` names; "" if none is similar."""
    similar = difflib.get_close_matches(name, known, n=1, cutoff=_MIN_SIMILARITY)
    return f" (did you mean {similar[0]}?)" if similar else ""
