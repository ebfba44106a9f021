"""Types of settings, and their checks. An error says what is allowed; it contains no secret."""

import re
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from app.validation import shown

SECRET_ID, SECRET_KEY = r"[A-Za-z0-9_.-]+", r"[!-~]+"
"""Patterns: characters that need no escape in a header."""

_HOST = r"([^\s/:?#@\[\]]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
_ORIGIN = rf"https?://([^\s/?#@]*@)?{_HOST}"
_KEY_ENTRY = re.compile(rf"({SECRET_ID})\s*:\s*({SECRET_KEY})")
_T = TypeVar("_T")


def _split_at_commas(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _matching(pattern: str, description: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"{shown(value)} is not {description}")
        return value

    return AfterValidator(check)


def _strip(value: object) -> object:
    return (value.strip() or None) if isinstance(value, str) else value


def _check_address(value: str) -> str:
    try:
        value.encode("idna")  # as `getaddrinfo` does
        is_host = not re.search(r"[\s/?#@\[\]]", value)
    except UnicodeError:
        is_host = False
    if not is_host:
        raise ValueError(f"{shown(value)} is not an IP address or a host name")
    return value


Address = Annotated[str, AfterValidator(_check_address)]
Optional = Annotated[_T | None, BeforeValidator(_strip)]
"""An empty text is None."""
CommaSeparated = Annotated[tuple[_T, ...], NoDecode, BeforeValidator(_split_at_commas)]
Host = Annotated[str, _matching(_HOST, "HOST or HOST:PORT, without scheme and path")]
PackName = Annotated[str, _matching(r"[a-z0-9][a-z0-9_-]*", "a pack name: lower-case letters, digits, '_' and '-'")]
Url = Annotated[str, _matching(rf"{_ORIGIN}(/\S*)?", "a URL that starts with https:// or http://")]
UrlWithPath = Annotated[str, _matching(rf"{_ORIGIN}/\S*", "a URL with a path, such as http://collector:4318/v1/traces")]


def parse_keys(value: SecretStr) -> dict[str, tuple[str, ...]]:
    """Return the SecretKeys by SecretId of a list of ``SecretId:SecretKey``; raise ``ValueError`` without the keys."""
    keys: dict[str, tuple[str, ...]] = {}
    for number, entry in enumerate(value.get_secret_value().replace("\n", ",").split(","), start=1):
        if not entry.strip():
            continue
        match = _KEY_ENTRY.fullmatch(entry.strip())
        if not match:
            raise ValueError(
                f"entry {number} is not of the form SecretId:SecretKey, with letters, digits, '_', '.' and '-' in the "
                "SecretId, and ASCII characters without spaces in the SecretKey"
            )
        keys[match[1]] = (*keys.get(match[1], ()), match[2])
    return keys
