"""May this service talk to that host? Pure rules, no look-ups, no sockets.

Everything that is not plainly a public unicast address is refused: a picture's URL comes from a stranger, and this
process stands inside somebody's network. The operator opens exceptions with the setting ``fetch.allow``.
Sources: IANA special-purpose registries (as kept by ``ipaddress``), OWASP's SSRF cheat sheet.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TypeAlias

PORTS = {"http": 80, "https": 443}
"""The schemes we speak and their ports; what the operator allowed may be reached on any port."""

_Address: TypeAlias = IPv4Address | IPv6Address
_Network: TypeAlias = IPv4Network | IPv6Network

_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_ENDS_IN_A_NUMBER = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")

# What `ipaddress` calls global (some of it only in some versions of Python) and we do not.
_NOT_PUBLIC_V4 = (
    IPv4Network("192.0.0.0/24"),  # IETF protocol assignments; Oracle Cloud's metadata service is 192.0.0.192
    IPv4Network("192.88.99.0/24"),  # relays from 6to4
    IPv4Network("168.63.129.16/32"),  # Azure's platform service, reachable from inside its machines only
)
# Everything public lives in here (RFC 4291, section 2.4). Outside lie, among others, IPv4-mapped and -compatible
# addresses, NAT64 (64:ff9b::/96, 64:ff9b:1::/48), unique local, link-local, site-local and multicast.
_GLOBAL_UNICAST_V6 = IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = (
    IPv6Network("2001::/23"),  # IETF protocol assignments, Teredo among them: it carries an IPv4 address
    IPv6Network("2002::/16"),  # 6to4: carries an IPv4 address
    IPv6Network("3fff::/20"),  # documentation
)


@dataclass(frozen=True, slots=True)
class Allowed:
    """Networks and host names that may be reached, on any port, although they are private."""

    networks: tuple[_Network, ...] = ()
    names: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Allowed:
        """Read the setting ``fetch.allow``; raise ``ValueError`` with a text for the operator."""
        networks: list[_Network] = []
        names: set[str] = set()
        for entry in entries:
            try:
                if network := _network(entry):
                    networks.append(network)
                else:
                    names.add(normalise_host(entry))
            except ValueError as error:
                raise ValueError(
                    f"{entry!r} is neither a network (10.1.0.0/16, no bits set behind the prefix) nor a "
                    "host name (ASCII; no scheme, port or wildcard)"
                ) from error
        return cls(tuple(networks), frozenset(names))

    def covers(self, host: str, address: _Address) -> bool:
        return host in self.names or any(address in network for network in self.networks)


def _network(entry: str) -> _Network | None:
    if not entry.isascii() or "%" in entry:
        raise ValueError("an address with a zone, or no address at all")
    try:
        return ip_network(entry)
    except ValueError:
        return None


def normalise_host(host: str) -> str:
    """Lower case, no trailing dot, IP addresses in their one canonical form; raise ``ValueError`` for no host.

    The short, octal, decimal and hexadecimal forms of IPv4 (``127.1``, ``0177.0.0.1``, ``2130706433``, ``0x7f.1``),
    which resolvers understand and readers misread, are no hosts; neither are IPv6 addresses with a zone.
    """
    if ":" in host:
        address = IPv6Address(host)
        if address.scope_id is not None:
            raise ValueError("an address with a zone")
        return str(address)
    name = host.lower().removesuffix(".")
    if not host.isascii() or not _NAME.fullmatch(name):
        raise ValueError("not a host name")
    return str(IPv4Address(name)) if _ENDS_IN_A_NUMBER.fullmatch(name) else name


def may_reach(host: str, port: int, addresses: Iterable[str], allowed: Allowed) -> bool:
    """Whether all ``addresses`` that ``host`` (normalised) resolved to may be dialled on ``port``; none: no."""
    verdicts = [_may_dial(host, port, address, allowed) for address in addresses]
    return bool(verdicts) and all(verdicts)


def _may_dial(host: str, port: int, address: str, allowed: Allowed) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.scope_id is not None:
        return False
    return allowed.covers(host, parsed) or (port in PORTS.values() and is_public(parsed))


def is_public(address: _Address) -> bool:
    """Whether ``address`` is a globally routed unicast address and carries no IPv4 address inside."""
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    return address in _GLOBAL_UNICAST_V6 and not any(address in network for network in _NOT_PUBLIC_V6)
