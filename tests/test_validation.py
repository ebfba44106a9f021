"""Descriptions of pydantic validation errors."""

from datetime import date
from typing import Self

import pytest
from pydantic import BaseModel, ValidationError, model_validator

from app.validation import Location, describe_validation_error


class _Inner(BaseModel):
    enabled: bool = False
    count: int = 0


class _Outer(BaseModel):
    groups: dict[str, _Inner] = {}
    minimum: int = 0
    day: date | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.minimum < 0:
            raise ValueError("minimum is negative")
        return self


def _error(values: object) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        _Outer.model_validate(values)
    return caught.value


def test_every_problem_is_named_by_its_location_and_without_its_value() -> None:
    text = describe_validation_error(_error({"groups": {"a": {"enabled": "secret", "count": "secret"}}}))
    assert text == ("groups.a.enabled: must be true or false; groups.a.count: must be a whole number")


def test_a_problem_without_location_has_no_name() -> None:
    assert describe_validation_error(_error({"minimum": -1})) == "minimum is negative"


def test_locations_are_named_as_the_operator_knows_them() -> None:
    def upper(location: Location) -> str:
        return "__".join(map(str, location)).upper()

    text = describe_validation_error(_error({"groups": {"a": {"enabled": []}}}), upper)
    assert text == "GROUPS__A__ENABLED: must be true or false"


def test_rejected_values_are_shown_only_on_request() -> None:
    error = _error({"groups": {"a": {"enabled": "secret", "count": []}}})
    text = describe_validation_error(error, show_values=True)
    assert text == "groups.a.enabled: must be true or false, not 'secret'; groups.a.count: must be a whole number"


def test_pydantic_describes_rare_errors() -> None:
    text = describe_validation_error(_error({"day": "2026-02-30"}))
    assert text == "day: Input should be a valid date or datetime, day value is outside expected range"
