from __future__ import annotations

import pytest

from app.tools.evaluation.page import digits, percent, power_ticks


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.0, "1"),
        (0.000012345, "0.0000123"),
        (12.34567, "12.3"),
        (1234.5, "1,230"),
        (9_876_543, "9,880,000"),
    ],
)
def test_numbers_have_three_significant_digits_and_no_exponent(value: float, text: str) -> None:
    assert digits(value) == text


def test_shares_are_percentages() -> None:
    assert percent(0.001) == "0.1 %"


def test_ticks_are_the_powers_of_ten_above_the_lower_end() -> None:
    assert [value for value, _ in power_ticks(0.0005)] == pytest.approx([0.001, 0.01, 0.1, 1])
    assert [value for value, _ in power_ticks(1e-7)] == pytest.approx([10.0**n for n in range(-7, 1)])
