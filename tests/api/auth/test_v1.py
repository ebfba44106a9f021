"""HmacSHA1 and HmacSHA256: the vendor's documented vector, and the string to sign."""

import pytest

from app.api.auth import v1

# The sample of the vendor's document "Signature Method v1".
_DOCUMENTED = {
    "Action": "DescribeInstances",
    "InstanceIds.0": "ins-09dx96dg",
    "Limit": "20",
    "Nonce": "11886",
    "Offset": "0",
    "Region": "ap-guangzhou",
    "SecretId": "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE",
    "Timestamp": "1465185768",
    "Version": "2017-03-12",
}
_KEY = "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE"


def _documented_string(**changes: str) -> bytes:
    return v1.string_to_sign("GET", "cvm.tencentcloudapi.com", "/", v1.sorted_query({**_DOCUMENTED, **changes}))


@pytest.mark.parametrize("signature_method", ["HmacSHA1", "", "hmacsha256", "anything"])
def test_the_documented_signature_is_reproduced(signature_method: str) -> None:
    assert v1.signature(_KEY, _documented_string(), signature_method) == "EliP9YW3pW28FpsEdkXt/+WcGeI="


def test_hmac_sha256_gives_another_signature() -> None:
    signature = v1.signature(_KEY, _documented_string(), "HmacSHA256")
    assert len(signature) == 44
    assert signature != v1.signature(_KEY, _documented_string(Offset="1"), "HmacSHA256")


def test_names_are_in_ascii_order_and_values_are_not_encoded() -> None:
    query = v1.sorted_query({"b": "", "A.2": "=&", "A.12": "中", "Signature": "left out", "a": "1"})
    assert v1.string_to_sign("POST", "a:1", "/x", query) == "POSTa:1/x?A.12=中&A.2==&&a=1&b=".encode()
