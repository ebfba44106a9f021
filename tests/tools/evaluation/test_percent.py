"""Numbers for people."""

import pytest

from app.tools.evaluation.percent import digits, percent


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
