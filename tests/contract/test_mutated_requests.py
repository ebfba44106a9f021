"""100,000 recorded requests of real SDKs, one byte of what is signed changed in each: none verifies, none raises."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from app.api.auth import tc3
from app.api.auth.credential import host_candidates
from app.api.request import CloudRequest
from app.errors import ApiError
from tests.contract.recorded import Recorded, Verifier, recordings, with_parameters

pytestmark = pytest.mark.shared

_MUTATIONS = 100_000
_SEED = 20261122


def _flip(text: str, position: int, bit: int) -> str:
    return text[:position] + chr(ord(text[position]) ^ bit) + text[position + 1 :]


def _header(request: CloudRequest, name: str, position: int, bit: int) -> CloudRequest:
    return replace(request, headers={**request.headers, name: _flip(request.headers[name], position, bit)})


def _header_name(request: CloudRequest, name: str, position: int, bit: int) -> CloudRequest:
    headers = {key: value for key, value in request.headers.items() if key != name}
    return replace(request, headers={**headers, _flip(name, position, bit).lower(): request.headers[name]})


def _query(request: CloudRequest, _: str, position: int, bit: int) -> CloudRequest:
    return replace(request, query=_flip(request.query, position, bit))


def _body(request: CloudRequest, _: str, position: int, bit: int) -> CloudRequest:
    body = _flip(request.body.decode("latin-1"), position, bit).encode("latin-1")
    return request.with_body(body, tc3.sha256(body))


_Place = tuple[str, Callable[[CloudRequest, str, int, int], CloudRequest], str, int]


def _places(one: Recorded) -> Iterator[_Place]:
    """Yield every byte that the signature covers, and those of the signature itself."""
    request = one.request
    if request.v1 is None:
        signed = tc3.parse_authorization(request.authorization)
        assert signed is not None
        for name in ("authorization", "x-tc-timestamp", *signed.signed_headers):
            yield from (("value", _header, name, position) for position in range(len(request.headers[name])))
            yield from (("name", _header_name, name, position) for position in range(len(name)))
    else:
        yield from (("value", _header, "host", position) for position in range(len(request.headers["host"])))
    if request.method == "GET":
        yield from (("query", _query, "", position) for position in range(len(request.query)))
    elif not one.is_unsigned:
        yield from (("body", _body, "", position) for position in range(len(request.body)))


def _means_the_same(one: CloudRequest, other: CloudRequest) -> bool:
    """Whether the change is none: white space around a value, its case, the port, an escape written anew."""
    if one.v1 is not None:
        return one.v1 == other.v1 and _is_host_of(other, one)
    signed = tc3.parse_authorization(one.authorization)
    assert signed is not None
    names = {"authorization", "x-tc-timestamp", *signed.signed_headers} - {"host"}
    same = all(_value(one, name) == _value(other, name) for name in names) and _is_host_of(other, one)
    return same and (one.method, one.query, one.body) == (other.method, other.query, other.body)


def _value(request: CloudRequest, name: str) -> str:
    value = request.headers.get(name, "").strip()
    return value if name == "authorization" else value.lower()


def _is_host_of(changed: CloudRequest, recorded: CloudRequest) -> bool:
    """Whether a client that sends the changed host may have signed the recorded one, or that without its port."""
    sent = recorded.headers["host"].lower()
    signed = {sent} if recorded.v1 is not None else {sent, sent.rpartition(":")[0] or sent}
    return bool(signed & set(host_candidates(changed.headers.get("host", "").strip().lower(), ())))


def _mutations() -> Iterator[tuple[Recorded, str, CloudRequest]]:
    chance = random.Random(_SEED)
    places = [(one, place) for one in recordings() for place in _places(one)]
    assert len(places) > 10_000
    chance.shuffle(places)
    while True:
        for one, (kind, mutate, name, position) in places:
            changed = mutate(replace(one.request, v1=None), name, position, 1 << chance.randrange(8))
            yield one, kind, changed


def test_no_mutated_request_verifies_and_none_raises() -> None:
    subject, kinds, taken, unchanged = Verifier(), Counter[str](), [], 0
    for one, kind, raw in _mutations():
        if kinds.total() == _MUTATIONS:
            break
        try:
            changed = with_parameters(raw)
        except ApiError:
            kinds[kind] += 1
            continue
        if _means_the_same(one.request, changed):
            unchanged += 1
            continue
        kinds[kind] += 1
        if subject.accepts(changed, float(one.request.timestamp)):
            taken.append((one.name, kind, changed))
    assert taken == []
    assert unchanged < _MUTATIONS / 20
    assert min(kinds[kind] for kind in ("value", "name", "query", "body")) > 1_000
