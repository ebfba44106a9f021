"""Requests of real SDKs, recorded byte by byte (../shared/spec/wire_dumps), verify; with another key or time not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.api.auth import tc3
from tests.contract.recorded import Recorded, Verifier, recordings, with_parameters

pytestmark = pytest.mark.shared

RECORDED = list(recordings())
_TC3 = [one for one in RECORDED if one.scheme == "TC3"]
_V1 = [one for one in RECORDED if one.scheme == "v1"]


def _now(one: Recorded) -> float:
    return float(one.request.timestamp)


def test_there_are_enough_recordings() -> None:
    assert len(_TC3) >= 130
    assert len(_V1) >= 50
    clients = {"curl", "go", "node", "python", "python_3.0.900", "python_async"}
    assert {one.name.partition("/")[0] for one in RECORDED} >= clients


def test_every_recorded_request_verifies() -> None:
    subject = Verifier()
    assert [one.name for one in RECORDED if not subject.accepts(one.request, _now(one))] == []


def test_no_recorded_request_verifies_with_another_key() -> None:
    subject = Verifier("SECRETEXAMPLF")
    assert [one.name for one in RECORDED if subject.accepts(one.request, _now(one))] == []


def test_no_recorded_request_verifies_with_another_timestamp() -> None:
    subject, taken = Verifier(), []
    for one in RECORDED:
        later = str(int(one.request.timestamp) + 1)
        changed = replace(one.request, headers={**one.request.headers, "x-tc-timestamp": later})
        if one.request.v1 is not None:
            changed = one.request.with_v1({**one.request.v1, "Timestamp": later})
        if subject.accepts(changed, _now(one)):
            taken.append(one.name)
    assert taken == []


def test_no_recorded_request_verifies_when_it_is_too_old() -> None:
    subject = Verifier()
    assert [one.name for one in RECORDED if subject.accepts(one.request, _now(one) + 301)] == []


def test_temporary_credentials_need_their_token() -> None:
    with_token = [one for one in RECORDED if one.request.token]
    assert len(with_token) >= 6
    subject = Verifier()
    for one in with_token:
        headers = {**one.request.headers, "x-tc-token": "TOKENY"}
        other = with_parameters(replace(one.request, headers=headers, v1=None))
        if other.v1 is not None:
            other = other.with_v1({**other.v1, "Token": "TOKENY"})
        assert not subject.accepts(other, _now(one))


def test_unsigned_payloads_may_change() -> None:
    posts = [one for one in RECORDED if one.is_unsigned and one.request.method == "POST"]
    subject = Verifier()
    assert len(posts) >= 3
    assert all(subject.accepts(one.request.with_body(b"{}", tc3.sha256(b"{}")), _now(one)) for one in posts)
