"""Recorded requests of SDKs with absent values, endpoints with a path, and official endpoints behind a gateway."""

import pytest

from tests.contract.recorded import Verifier, sdk_requests

_REQUESTS = sdk_requests()


def test_the_recordings_have_the_cases_that_they_are_for() -> None:
    tokens = {request.headers.get("x-tc-token") for request in _REQUESTS.values()}
    hosts = {request.headers["host"] for request in _REQUESTS.values()}
    assert len(_REQUESTS) == 8
    assert tokens == {"undefined", None}
    assert hosts == {"127.0.0.1:47001", "127.0.0.1:47001/iai", "127.0.0.1:47001/release/iai"}


@pytest.mark.parametrize("title", _REQUESTS)
def test_the_request_verifies_only_with_its_key_and_time(title: str) -> None:
    request = _REQUESTS[title]
    now = float(request.timestamp)
    assert Verifier().accepts(request, now)
    assert not Verifier("SECRETEXAMPLF").accepts(request, now)
    assert not Verifier().accepts(request, now + 301)
