"""Names and texts use plain English: no word or phrase that ``shared/design/language.md`` bans.

A test per file. The words are matched in code, comments, strings and documentation; a word boundary is any character
that is not a letter, so ``told`` also matches ``_told`` and ``is_told``.
"""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]
_FOLDERS = (".ci", "app", "benchmarks", "deploy", "models", "tests")
_NAMES = ("Makefile", "Dockerfile", "run")
_SUFFIXES = (".py", ".md", ".toml", ".yml", ".yaml", ".js", ".mjs", ".json", ".html", ".css", ".sh", ".go", ".java")

_WORDS = (
    "anew",
    "at hand",
    "be it",
    "glance[ds]?",
    "in force",
    "in line for",
    "lest",
    "looker",
    "mend(?:ed|ing|s)?",
    "nobody(?:'s)?",
    "of which",
    "puts? right",
    "recogniser",
    "set upright",
    "somebody(?:'s)?",
    "stand(?:s|ing)? in line",
    "tell(?:s|ing)?",
    "thereof",
    "told",
    "unanswered",
    "whoever",
    "whose turn",
)
"""Case-insensitive."""

_PYTHON_WORDS = ("pictures?",)
"""Case-insensitive, in Python files: "image" in code, "photo" or "image" in prose."""

_IDENTIFIERS = (
    r"aside\(",
    "ANYBODY",
    "AT_ONCE",
    "CloseUp",
    "Examiner",
    "MOST_TOGETHER",
    "Offers",
    "PARTING_S",
    "SeenFace",
    "Sight",
    "Tally",
    "Trust",
    "Wanted",
    "_lament",
    "_parted",
    "_send_away",
    "as_meant",
    "at_hand",
    "close_up",
    "drawn_face",
    "face_back",
    "found_again",
    "head_s",
    "leans_little",
    "level_pitch",
    "look_again",
    "look_at_one",
    "look_closer",
    "notice_s",
    "own_cores",
    "points_back",
    "would_wait",
)
"""Case-sensitive, as whole identifiers or parts of one."""

_SENTENCE = re.compile(
    r"(?:\A|[.!?:]\s+|\n\s*\n\s*)(?:Who|Whoever|Nobody|Somebody|What (?:is|are|was|were|comes|has))\s[^.?!]*[.!]?(?!\?)"
)
"""A sentence of a docstring or comment whose subject is a pronoun."""


def _pattern(words: tuple[str, ...], flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z])(?:{'|'.join(words)})(?![A-Za-z])", flags)


_BANNED = _pattern(_WORDS, re.IGNORECASE)
_BANNED_IN_PYTHON = _pattern(_PYTHON_WORDS, re.IGNORECASE)
_BANNED_IDENTIFIERS = _pattern(_IDENTIFIERS)


def _files() -> list[Path]:
    paths = [path for path in _ROOT.iterdir() if path.is_file()]
    paths += [path for folder in _FOLDERS for path in (_ROOT / folder).rglob("*") if path.is_file()]
    return sorted(
        path for path in paths if path != Path(__file__) and (path.name in _NAMES or path.suffix in _SUFFIXES)
    )


def _violations(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    patterns = [_BANNED]
    if path.suffix == ".py":
        patterns += [_BANNED_IN_PYTHON, _BANNED_IDENTIFIERS]
    matches = [
        f"line {text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
        for pattern in patterns
        for match in pattern.finditer(text)
    ]
    return matches + (_vague_sentences(text) if path.suffix == ".py" else [])


def _vague_sentences(text: str) -> list[str]:
    return [
        f"line {line}: {sentence[0].strip()}"
        for line, prose in _prose(text)
        if (sentence := _SENTENCE.search(prose)) and not sentence[0].rstrip().endswith("?")
    ]


def _prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of each comment and docstring."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("# ")
        elif token.type == tokenize.STRING and token.string.startswith('"""'):
            yield token.start[0], token.string.strip('"')


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(_ROOT)))
def test_the_text_is_plain(path: Path) -> None:
    assert _violations(path) == []


@pytest.mark.parametrize(
    ("prose", "is_vague"),
    [
        ("Who waits has sent no body yet.", True),
        ("Limits. Nobody who was let in goes without a reply.", True),
        ("What is no host is none of them.", True),
        ("Return the client who called.", False),
        ("Queued requests have not sent their body.", False),
    ],
)
def test_sentences_with_a_pronoun_as_subject_are_recognised(prose: str, is_vague: bool) -> None:
    assert (_SENTENCE.search(prose) is not None) == is_vague


def test_words_match_inside_identifiers_but_not_inside_words() -> None:
    assert _BANNED.search("is_told")
    assert _BANNED.search("Anew")
    assert not _BANNED.search("renewed intellectual amendment")
