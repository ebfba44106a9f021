"""Rules for the hosts, addresses and ports that an image URL may reach. No look-ups, no sockets.

Everything but public unicast addresses is forbidden, because clients choose the URLs and the service usually runs
inside a private network. The setting ``fetch.allow`` adds exceptions.
Sources: IANA special-purpose registries (as kept by ``ipaddress``), OWASP SSRF prevention cheat sheet.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self, TypeAlias

from app.validation import shown

DEFAULT_PORTS = {"http": 80, "https": 443}
"""Port per supported scheme. Public hosts are reached on these ports only, hosts of the allow list on any port."""

_Address: TypeAlias = IPv4Address | IPv6Address
_Network: TypeAlias = IPv4Network | IPv6Network

_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_ENDS_IN_A_NUMBER = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")

# Networks that some versions of `ipaddress` call global although a service must not fetch images from them.
_NOT_PUBLIC_V4 = (
    IPv4Network("192.0.0.0/24"),  # IETF protocol assignments; the metadata service of Oracle Cloud is 192.0.0.192
    IPv4Network("192.88.99.0/24"),  # 6to4 relays
    IPv4Network("168.63.129.16/32"),  # platform service of Azure, reachable from its virtual machines only
)
# All public addresses (RFC 4291, section 2.4). Outside are, among others, IPv4-mapped and IPv4-compatible addresses,
# NAT64 (64:ff9b::/96, 64:ff9b:1::/48), unique local, link-local, site-local and multicast addresses.
_GLOBAL_UNICAST_V6 = IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = (
    IPv6Network("2001::/23"),  # IETF protocol assignments; includes Teredo, which embeds an IPv4 address
    IPv6Network("2002::/16"),  # 6to4: embeds an IPv4 address
    IPv6Network("3fff::/20"),  # documentation
)


@dataclass(frozen=True, slots=True)
class AllowList:
    """Private networks and host names that may be reached on any port."""

    networks: tuple[_Network, ...] = ()
    names: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Self:
        """Parse the setting ``fetch.allow``; raise ``ValueError`` with a message for the operator."""
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
                    f"{shown(entry)} is neither a network (such as 10.1.0.0/16, without host bits) nor a "
                    "host name (ASCII; no scheme, port or wildcard)"
                ) from error
        return cls(tuple(networks), frozenset(names))

    def covers(self, host: str, address: _Address) -> bool:
        return host in self.names or any(address in network for network in self.networks)


def _network(entry: str) -> _Network | None:
    if not entry.isascii() or "%" in entry:
        raise ValueError("not ASCII, or an address with a zone")
    try:
        return ip_network(entry)
    except ValueError:
        return None


def normalise_host(host: str) -> str:
    """Return ``host`` in lower case, without a trailing dot, IP addresses in canonical form; raise ``ValueError``.

    Rejects the short, octal, decimal and hexadecimal forms of IPv4 (``127.1``, ``0177.0.0.1``, ``2130706433``,
    ``0x7f.1``), which resolvers accept, and IPv6 addresses with a zone.
    """
    if ":" in host:
        address = IPv6Address(host)
        if address.scope_id is not None:
            raise ValueError("an address with a zone")
        return str(address)
    name = host.lower().removesuffix(".")
    if not host.isascii() or not _HOST_NAME.fullmatch(name):
        raise ValueError("not a host name")
    return str(IPv4Address(name)) if _ENDS_IN_A_NUMBER.fullmatch(name) else name


def may_connect(host: str, port: int, addresses: Iterable[str], allowed: AllowList) -> bool:
    """Return whether connections to ``port`` of all ``addresses`` are allowed; False without addresses.

    ``host``: the normalised host name that resolved to ``addresses``.
    """
    try:
        parsed = [ip_address(normalise_host(address)) for address in addresses]  # rejects zones, too
    except ValueError:
        return False
    return bool(parsed) and all(
        allowed.covers(host, address) or (port in DEFAULT_PORTS.values() and is_public(address)) for address in parsed
    )


def is_public(address: _Address) -> bool:
    """Return whether ``address`` is a global unicast address that embeds no IPv4 address."""
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    return address in _GLOBAL_UNICAST_V6 and not any(address in network for network in _NOT_PUBLIC_V6)
