"""The number of people that a false-accept rate needs."""

import re
from pathlib import Path

import pytest

from app.tools.evaluation.intervals import binomial
from app.tools.evaluation.sample_size import MIN_EXPECTED_IMPOSTORS, few_people_text, is_measured, people_needed

_ROOT = Path(__file__).resolve().parents[3]
_FARS = (1e-3, 1e-4, 1e-5)


def _impostor_pairs(people: int, images_per_person: int) -> int:
    return people * (people - 1) // 2 * images_per_person**2


@pytest.mark.parametrize("far", _FARS)
@pytest.mark.parametrize("images_per_person", [1, 2, 5])
def test_one_person_less_would_be_too_few(far: float, images_per_person: int) -> None:
    people = people_needed(far, images_per_person)
    assert is_measured(far, _impostor_pairs(people, images_per_person))
    assert not is_measured(far, _impostor_pairs(people - 1, images_per_person))


def test_the_documentation_states_the_people_of_the_rule() -> None:
    rows = re.findall(r"% \| ([\d,]+) \| ([\d,]+) \|\n", (_ROOT / "models/README.md").read_text())
    numbers = [(int(pairs.replace(",", "")), int(people.replace(",", ""))) for pairs, people in rows]
    assert numbers == [(round(MIN_EXPECTED_IMPOSTORS / far), people_needed(far)) for far in _FARS]
    for name in ("README.md", "README.zh-CN.md"):
        (about,) = re.findall(r"125\D+390\D+1,?230", (_ROOT / name).read_text(encoding="utf-8"))
        assert [int(number) for number in re.findall(r"\d+", about.replace(",", ""))] == pytest.approx(
            [people_needed(far) for far in _FARS], rel=0.02
        )


@pytest.mark.parametrize(
    ("impostor_pairs", "text"),
    [
        (3_000_000, ""),
        (
            2_999_999,
            (
                "too few people to measure the FAR at 60 (0.001 %): that takes 1,226 people with two images each; "
                "these 2,999,999 impostor pairs measure a FAR above 0.001 %, and only bound a lower one"
            ),
        ),
        (
            112,
            (
                "too few people to measure the FAR at 40 (0.1 %), 50 (0.01 %) and 60 (0.001 %): that takes 123, 388 "
                "and 1,226 people with two images each; these 112 impostor pairs measure a FAR above 26.8 %, "
                "and only bound a lower one"
            ),
        ),
    ],
)
def test_the_text_names_the_thresholds_that_are_not_measured(impostor_pairs: int, text: str) -> None:
    assert few_people_text(impostor_pairs) == text


@pytest.mark.parametrize("impostor_pairs", [1, 12, 30])
def test_a_handful_of_pairs_bounds_the_far_as_the_printed_rate_does(impostor_pairs: int) -> None:
    assert few_people_text(impostor_pairs).endswith(f"these {impostor_pairs} impostor pairs only bound the FAR")
    assert binomial(0, impostor_pairs).text(impostor_pairs).startswith("< ")


def test_the_documentation_has_an_example_of_a_bound() -> None:
    assert f"`evaluate` only bounds it, as in `{binomial(0, 12).text(12)}`" in (_ROOT / "models/README.md").read_text()
