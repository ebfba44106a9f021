"""The header values and names that a client may have signed."""

import pytest

from tests.api.auth.signed import BODY, authenticator, outcome, tc3_request, v1_request
from tests.support.fakes import authorization, v1_parameters


def test_v1_names_may_be_signed_with_dots_instead_of_underscores() -> None:
    signed = v1_parameters(**{"A.B": "1"})
    sent = {name.replace("A.B", "A_B"): value for name, value in signed.items()}
    assert outcome(authenticator(), v1_request(**sent)) == "OK"


def test_a_request_cannot_have_a_name_both_with_dot_and_with_underscore() -> None:
    signed = v1_parameters(**{"A.B": "good"})
    assert outcome(authenticator(), v1_request(**{"A_B": "evil", **signed})) == "SIGNATURE_FAILURE"


@pytest.mark.parametrize("signed", ["compareface", "CompareFace"])
def test_header_values_may_be_signed_in_lower_case_or_as_sent(signed: str) -> None:
    header = authorization(BODY, extra={"x-tc-action": signed})
    assert outcome(authenticator(), tc3_request(header, x_tc_action="CompareFace")) == "OK"
    assert outcome(authenticator(), tc3_request(header, x_tc_action="DetectFace")) == "SIGNATURE_FAILURE"


@pytest.mark.parametrize("service", ["iai", "127", "localhost:8000", "http://127"])
def test_any_service_name_is_accepted(service: str) -> None:
    assert outcome(authenticator(), tc3_request(authorization(BODY, service=service))) == "OK"
