"""Recorded requests of real SDKs (../shared/spec/wire_dumps) verify, but not with another key or time."""

from dataclasses import replace

import pytest

from app.api.auth import tc3
from tests.contract.recorded import RecordedRequest, Verifier, recordings, with_parameters

pytestmark = pytest.mark.shared

RECORDED = list(recordings())
_TC3 = [recorded for recorded in RECORDED if recorded.scheme == "TC3"]
_V1 = [recorded for recorded in RECORDED if recorded.scheme == "v1"]


def _now(recorded: RecordedRequest) -> float:
    return float(recorded.request.timestamp)


def test_the_recordings_cover_all_clients() -> None:
    assert len(_TC3) >= 130
    assert len(_V1) >= 50
    clients = {"curl", "go", "node", "python", "python_3.0.900", "python_async"}
    assert {recorded.name.partition("/")[0] for recorded in RECORDED} >= clients


def test_every_recorded_request_verifies() -> None:
    verifier = Verifier()
    assert [recorded.name for recorded in RECORDED if not verifier.accepts(recorded.request, _now(recorded))] == []


def test_no_recorded_request_verifies_with_another_key() -> None:
    verifier = Verifier("SECRETEXAMPLF")
    assert [recorded.name for recorded in RECORDED if verifier.accepts(recorded.request, _now(recorded))] == []


def test_no_recorded_request_verifies_with_another_timestamp() -> None:
    verifier, accepted = Verifier(), []
    for recorded in RECORDED:
        later = str(int(recorded.request.timestamp) + 1)
        changed = replace(recorded.request, headers={**recorded.request.headers, "x-tc-timestamp": later})
        if recorded.request.v1_parameters is not None:
            changed = replace(recorded.request, v1_parameters={**recorded.request.v1_parameters, "Timestamp": later})
        if verifier.accepts(changed, _now(recorded)):
            accepted.append(recorded.name)
    assert accepted == []


def test_no_recorded_request_verifies_when_it_is_too_old() -> None:
    verifier = Verifier()
    assert [recorded.name for recorded in RECORDED if verifier.accepts(recorded.request, _now(recorded) + 301)] == []


def test_temporary_credentials_do_not_verify_with_another_token() -> None:
    with_token = [recorded for recorded in RECORDED if recorded.request.common("Token")]
    assert len(with_token) >= 6
    verifier = Verifier()
    for recorded in with_token:
        headers = {**recorded.request.headers, "x-tc-token": "TOKENY"}
        changed = with_parameters(replace(recorded.request, headers=headers, v1_parameters=None))
        if changed.v1_parameters is not None:
            changed = replace(changed, v1_parameters={**changed.v1_parameters, "Token": "TOKENY"})
        assert not verifier.accepts(changed, _now(recorded))


def test_unsigned_payloads_verify_with_another_body() -> None:
    posts = [recorded for recorded in RECORDED if recorded.is_unsigned and recorded.request.method == "POST"]
    verifier = Verifier()
    assert len(posts) >= 3
    assert all(
        verifier.accepts(replace(recorded.request, body=b"{}", body_sha256=tc3.sha256(b"{}")), _now(recorded))
        for recorded in posts
    )
