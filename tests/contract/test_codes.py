"""Our codes are the vendor's: of CompareFace's SDK, or common to API 3.0 (vendor document "Common error codes")."""

from __future__ import annotations

import pytest
from tencentcloud.iai.v20200303 import errorcodes

from app.errors import ErrorCode

COMMON = {
    "AuthFailure.InvalidAuthorization",
    "AuthFailure.SecretIdNotFound",
    "AuthFailure.SignatureExpire",
    "AuthFailure.SignatureFailure",
    "InvalidAction",
    "InvalidParameter",
    "MissingParameter",
    "NoSuchVersion",
    "RequestLimitExceeded",
    "RequestSizeLimitExceeded",
    "UnknownParameter",
    "UnsupportedOperation",
    "UnsupportedProtocol",
}
SDK = {value for name, value in vars(errorcodes).items() if name.isupper()}


@pytest.mark.parametrize("code", list(ErrorCode))
def test_code_is_known_to_the_vendor(code: ErrorCode) -> None:
    assert len(SDK) > 50
    assert code.value in SDK | COMMON


def test_internal_error_is_never_answered() -> None:
    """SDK region breakers count it as an outage, and turn to the cloud."""
    assert "InternalError" not in {code.value for code in ErrorCode}
