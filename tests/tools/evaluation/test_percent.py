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


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (1.0, "1.00"), (0.26, "0.260"), (99.96, "100"), (1234.5, "1,230")]
)
def test_trailing_zeros_are_kept_if_asked_for(value: float, text: str) -> None:
    assert digits(value, trailing_zeros=True) == text


def test_shares_are_percentages() -> None:
    assert percent(0.001) == "0.1 %"
