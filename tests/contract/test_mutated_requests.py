"""100,000 variants of recorded requests, each with one flipped bit: none verifies or causes an unexpected error."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from app.api.auth import tc3
from app.api.auth.hosts import signed_locations
from app.api.request import CloudRequest
from app.errors import ApiError
from tests.contract.recorded import RecordedRequest, Verifier, recordings, with_parameters

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
    return replace(request, body=body, body_sha256=tc3.sha256(body))


_Mutate = Callable[[CloudRequest, str, int, int], CloudRequest]
"""Returns a request with one flipped bit. Arguments: the request, the name of a header, a byte position, a bit mask."""
_Target = tuple[str, _Mutate, str, int]
"""Kind of the mutation, function, name of the header if any, and byte position."""


def _targets(recorded: RecordedRequest) -> Iterator[_Target]:
    """Yield a target for each byte of the signature and for each byte that it covers."""
    request = recorded.request
    if request.v1_parameters is None:
        signed = tc3.parse_authorization(request.authorization)
        assert signed is not None
        for name in ("authorization", "x-tc-timestamp", *signed.signed_headers):
            yield from (("value", _header, name, position) for position in range(len(request.headers[name])))
            yield from (("name", _header_name, name, position) for position in range(len(name)))
    else:
        yield from (("value", _header, "host", position) for position in range(len(request.headers["host"])))
    if request.method == "GET":
        yield from (("query", _query, "", position) for position in range(len(request.query)))
    elif not recorded.is_unsigned:
        yield from (("body", _body, "", position) for position in range(len(request.body)))


def _is_equivalent(recorded: CloudRequest, changed: CloudRequest) -> bool:
    """Return whether both requests mean the same: they differ in white space, case, the port or an escape."""
    if recorded.v1_parameters is not None:
        return recorded.v1_parameters == changed.v1_parameters and _is_host_of(changed, recorded)
    signed = tc3.parse_authorization(recorded.authorization)
    assert signed is not None
    names = {"authorization", "x-tc-timestamp", *signed.signed_headers} - {"host"}
    has_same_values = all(_value(recorded, name) == _value(changed, name) for name in names)
    has_same_content = (recorded.method, recorded.query, recorded.body) == (changed.method, changed.query, changed.body)
    return has_same_values and has_same_content and _is_host_of(changed, recorded)


def _value(request: CloudRequest, name: str) -> str:
    value = request.headers.get(name, "").strip()
    return value if name == "authorization" else value.lower()


def _is_host_of(changed: CloudRequest, recorded: CloudRequest) -> bool:
    """Return whether the recorded host, with or without its port, is a candidate for the changed one."""
    sent = recorded.headers["host"].lower()
    signed = {sent} if recorded.v1_parameters is not None else {sent, sent.rpartition(":")[0] or sent}
    locations = signed_locations(changed.headers.get("host", "").strip().lower(), changed.path, ())
    return any(host in signed for host, _ in locations)


def _mutations() -> Iterator[tuple[RecordedRequest, str, CloudRequest]]:
    rng = random.Random(_SEED)
    targets = [(recorded, target) for recorded in recordings() for target in _targets(recorded)]
    assert len(targets) > 10_000
    rng.shuffle(targets)
    while True:
        for recorded, (kind, mutate, name, position) in targets:
            changed = mutate(replace(recorded.request, v1_parameters=None), name, position, 1 << rng.randrange(8))
            yield recorded, kind, changed


@pytest.mark.usefixtures("without_coverage")
def test_no_mutated_request_verifies_or_causes_an_unexpected_error() -> None:
    verifier, kinds, accepted, equivalent = Verifier(), Counter[str](), [], 0
    for recorded, kind, raw in _mutations():
        if kinds.total() == _MUTATIONS:
            break
        try:
            changed = with_parameters(raw)
        except ApiError:
            kinds[kind] += 1
            continue
        is_accepted = verifier.accepts(changed, float(recorded.request.timestamp))
        if is_accepted and _is_equivalent(recorded.request, changed):
            equivalent += 1
            continue
        kinds[kind] += 1
        if is_accepted:
            accepted.append((recorded.name, kind, changed))
    assert accepted == []
    assert equivalent < _MUTATIONS / 20
    assert min(kinds[kind] for kind in ("value", "name", "query", "body")) > 1_000
