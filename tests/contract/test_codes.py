"""Our codes are the vendor's, and the vendor's whole table is ours: answered, or with a reason why not."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from tencentcloud.iai.v20200303 import errorcodes

from app.api.unsupported import UNSUPPORTED_ERROR_CODES
from app.errors import ErrorCode

_ROOT = Path(__file__).resolve().parents[2]
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
ANSWERED = [code.value for code in ErrorCode]
NEVER = [code for group in UNSUPPORTED_ERROR_CODES for code in group.codes]


@pytest.mark.parametrize("code", [*ANSWERED, *NEVER])
def test_code_is_known_to_the_vendor(code: str) -> None:
    assert len(SDK) > 50
    assert code in SDK | COMMON


def test_a_code_is_answered_or_has_one_reason_why_not() -> None:
    assert [code for code, times in Counter([*ANSWERED, *NEVER]).items() if times > 1] == []


def test_the_common_codes_are_all_there() -> None:
    assert COMMON - {*ANSWERED, *NEVER} == set()


@pytest.mark.shared
def test_the_codes_of_the_vendors_page_are_all_there(shared: Path) -> None:
    page = (shared / "spec/compareface-page.txt").read_text(encoding="utf-8")
    codes = re.findall(r"^([\w.]+) \| ", page.partition("Error Code | Description |")[2], flags=re.MULTILINE)
    assert len(set(codes)) == 75
    assert set(codes) - {*ANSWERED, *NEVER} == set()
    assert {*ANSWERED, *NEVER} - set(codes) <= COMMON


def test_internal_error_is_never_answered() -> None:
    """SDK region breakers count it as an outage, and turn to the cloud."""
    assert "InternalError" in NEVER


def test_the_reasons_are_documented() -> None:
    text = (_ROOT / "app/README.md").read_text(encoding="utf-8")
    table = text.partition("| never answered because | codes |\n|---|---|\n")[2].partition("\n\n")[0]
    rows = (re.fullmatch(r"\| (.+) \| (.+) \|", line) for line in table.splitlines())
    documented = [(row[1], tuple(re.findall("`(.+?)`", row[2]))) for row in rows if row]
    assert documented == [(group.reason, group.codes) for group in UNSUPPORTED_ERROR_CODES]
