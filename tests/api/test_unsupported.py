"""Every code is the vendor's. Every code of the vendor is either returned or listed with a reason."""

import re
from collections import Counter
from pathlib import Path

import pytest
from tencentcloud.iai.v20200303 import errorcodes

from app.api.unsupported import _CODES_BY_REASON
from app.errors import ErrorCode

SDK = {value for name, value in vars(errorcodes).items() if name.isupper()}
COMMON = {
    "ActionOffline",
    "AuthFailure.InvalidAuthorization",
    "AuthFailure.InvalidSecretId",
    "AuthFailure.MFAFailure",
    "AuthFailure.SecretIdNotFound",
    "AuthFailure.SignatureExpire",
    "AuthFailure.SignatureFailure",
    "AuthFailure.TokenFailure",
    "AuthFailure.UnauthorizedOperation",
    "DryRunOperation",
    "FailedOperation",
    "InternalError",
    "InvalidAction",
    "InvalidParameter",
    "InvalidParameterValue",
    "InvalidRequest",
    "IpInBlacklist",
    "IpNotInWhitelist",
    "LimitExceeded",
    "MissingParameter",
    "NoSuchProduct",
    "NoSuchVersion",
    "RequestLimitExceeded",
    "RequestLimitExceeded.GlobalRegionUinLimitExceeded",
    "RequestLimitExceeded.IPLimitExceeded",
    "RequestLimitExceeded.UinLimitExceeded",
    "RequestSizeLimitExceeded",
    "ResourceInUse",
    "ResourceInsufficient",
    "ResourceNotFound",
    "ResourceUnavailable",
    "ResponseSizeLimitExceeded",
    "ServiceUnavailable",
    "UnauthorizedOperation",
    "UnknownParameter",
    "UnsupportedOperation",
    "UnsupportedProtocol",
    "UnsupportedRegion",
}
"""The vendor document "Common error codes"."""
RETURNED = [code.value for code in ErrorCode]
UNSUPPORTED = [code for codes in _CODES_BY_REASON.values() for code in codes.split()]


@pytest.mark.parametrize("code", [*RETURNED, *UNSUPPORTED])
def test_the_vendor_has_the_code(code: str) -> None:
    assert len(SDK) > 50
    assert code in SDK | COMMON


def test_no_code_is_listed_twice() -> None:
    assert [code for code, count in Counter([*RETURNED, *UNSUPPORTED]).items() if count > 1] == []


def test_all_common_codes_are_listed() -> None:
    assert COMMON - {*RETURNED, *UNSUPPORTED} == set()


@pytest.mark.shared
def test_all_codes_of_the_vendors_page_are_listed(shared: Path) -> None:
    page = (shared / "spec/compareface-page.txt").read_text(encoding="utf-8")
    codes = re.findall(r"^([\w.]+) \| ", page.partition("Error Code | Description |")[2], flags=re.MULTILINE)
    assert len(set(codes)) == 75
    assert set(codes) - {*RETURNED, *UNSUPPORTED} == set()
    assert {*RETURNED, *UNSUPPORTED} - set(codes) <= COMMON


def test_internal_error_is_never_returned() -> None:
    """The SDKs' optional circuit breaker counts it as an outage and then sends requests to Tencent Cloud."""
    assert "InternalError" in UNSUPPORTED
