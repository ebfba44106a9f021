"""May this service talk to that host? Pure rules, no I/O.

Everything that is not plainly a public unicast address is refused, whatever form it is written in, unless the
operator allowed it (``fetch.allow``: networks or host names). Sources: IANA special-purpose registries (as kept by
``ipaddress``), RFC 6052 and 8215 (NAT64), RFC 3056 (6to4), RFC 4380 (Teredo).
"""

from __future__ import annotations

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

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

PUBLIC_PORTS = frozenset({80, 443})
"""Ports of strangers; what the operator allowed may be reached on any port."""

_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_V4_COMPATIBLE = IPv6Network("::/96")


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the operator lets through although it is private."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Allowed:
        """Read networks (``10.1.0.0/16``, ``10.1.2.3``) and host names; ``ValueError`` for what is neither."""
        hosts, networks = set(), []
        for entry in entries:
            try:
                networks.append(ip_network(entry))
            except ValueError as error:
                if "/" in entry or ":" in entry or not entry.strip(".") or entry.rstrip(".")[-1].isdigit():
                    raise ValueError(f"{entry!r} is neither a network nor a host name") from error
                hosts.add(normal_host(entry))
        return cls(frozenset(hosts), tuple(networks))

    def names(self, host: str) -> bool:
        """Whether the host name ``host`` is allowed with whatever address it resolves to."""
        return normal_host(host) in self.hosts

    def covers(self, address: Address) -> bool:
        return any(address in network for network in self.networks if network.version == address.version)


def normal_host(host: str) -> str:
    """``host`` in lower case without its trailing dot."""
    return host.lower().removesuffix(".")


def may_reach(host: str, port: int, addresses: Iterable[str], allowed: Allowed) -> bool:
    """Whether all ``addresses`` that ``host`` resolved to, and ``port``, are fit to be dialled; no addresses: no."""
    parsed = [_parse(text) for text in addresses]
    if not parsed:
        return False
    if allowed.names(host):
        return all(address is not None for address in parsed)
    return all(
        address is not None and (allowed.covers(address) or (is_public(address) and port in PUBLIC_PORTS))
        for address in parsed
    )


def _parse(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return None if address.scope_id else address.ipv4_mapped or address
    return address


def is_public(address: Address) -> bool:
    """Whether ``address``, and the IPv4 address it may carry inside, is a globally routed unicast address."""
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    if isinstance(address, IPv4Address):
        return True
    return not address.is_site_local and not _is_tunnel(address)


def _is_tunnel(address: IPv6Address) -> bool:
    """Whether the address stands for an IPv4 one (mapped, compatible, NAT64, 6to4, Teredo): none is needed here."""
    return (
        any(address in network for network in (*_NAT64, _V4_COMPATIBLE))
        or address.ipv4_mapped is not None
        or address.sixtofour is not None
        or address.teredo is not None
    )
