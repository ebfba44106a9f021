from ipaddress import ip_address

import pytest

from app.address import AllowList, is_public, may_connect, normalise_host

NO_EXCEPTIONS = AllowList()

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "168.63.129.15",
    "168.63.129.17",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "2a00:1450:4001:80b::200e",
    "2400:cb00:2048:1::c629:d7a2",
]

NOT_PUBLIC = [
    ("0.0.0.0", "this host"),
    ("0.1.2.3", "this network"),
    ("10.0.0.0", "private"),
    ("10.255.255.255", "private"),
    ("100.64.0.0", "carrier-grade NAT"),
    ("100.100.100.200", "metadata service of Alibaba Cloud"),
    ("100.127.255.255", "carrier-grade NAT"),
    ("127.0.0.1", "loopback"),
    ("127.1.2.3", "loopback"),
    ("127.255.255.255", "loopback"),
    ("168.63.129.16", "platform service of Azure"),
    ("169.254.0.0", "link-local"),
    ("169.254.0.23", "metadata service of Tencent Cloud"),
    ("169.254.169.254", "metadata service"),
    ("169.254.170.2", "credentials of ECS tasks"),
    ("172.16.0.0", "private"),
    ("172.17.0.1", "Docker's bridge"),
    ("172.31.255.255", "private"),
    ("192.0.0.1", "IETF protocol assignments"),
    ("192.0.0.192", "metadata service of Oracle Cloud"),
    ("192.0.2.1", "documentation"),
    ("192.88.99.1", "6to4 relay"),
    ("192.168.0.1", "private"),
    ("192.168.255.255", "private"),
    ("198.18.0.1", "benchmarking"),
    ("198.19.255.255", "benchmarking"),
    ("198.51.100.1", "documentation"),
    ("203.0.113.1", "documentation"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.255", "multicast"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.255", "broadcast"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("::127.0.0.1", "IPv4-compatible"),
    ("::8.8.8.8", "IPv4-compatible"),
    ("::ffff:127.0.0.1", "IPv4-mapped"),
    ("::ffff:169.254.169.254", "IPv4-mapped"),
    ("::ffff:8.8.8.8", "IPv4-mapped"),
    ("::ffff:0:10.0.0.1", "IPv4-translated"),
    ("64:ff9b::10.0.0.1", "NAT64"),
    ("64:ff9b::8.8.8.8", "NAT64"),
    ("64:ff9b:1::a00:1", "local NAT64"),
    ("100::1", "discard only"),
    ("2001::1", "Teredo"),
    ("2001:0:4136:e378:8000:63bf:f5ff:fffe", "Teredo to 10.0.0.1"),
    ("2001:2::1", "benchmarking"),
    ("2001:10::1", "ORCHID"),
    ("2001:20::1", "ORCHIDv2"),
    ("2001:db8::1", "documentation"),
    ("2002:7f00:1::1", "6to4 to 127.0.0.1"),
    ("2002:808:808::1", "6to4 to 8.8.8.8"),
    ("3fff::1", "documentation"),
    ("4000::1", "not assigned"),
    ("5f00::1", "segment routing"),
    ("fc00::1", "unique local"),
    ("fd00:ec2::254", "metadata service of AWS"),
    ("fd20:ce::254", "metadata service of Google Cloud"),
    ("fdff:ffff::1", "unique local"),
    ("fe80::1", "link-local"),
    ("febf::1", "link-local"),
    ("fec0::1", "site-local"),
    ("ff02::1", "multicast"),
    ("ff0e::1", "multicast, global scope"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_reached_on_ports_80_and_443(address: str) -> None:
    assert is_public(ip_address(address))
    assert may_connect("a.example", 80, [address], NO_EXCEPTIONS)
    assert may_connect("a.example", 443, [address], NO_EXCEPTIONS)


@pytest.mark.parametrize(("address", "kind"), NOT_PUBLIC)
def test_other_addresses_may_not_be_reached(address: str, kind: str) -> None:
    assert not is_public(ip_address(address)), kind
    assert not may_connect("a.example", 80, [address], NO_EXCEPTIONS), kind
    assert not may_connect("a.example", 443, [address], NO_EXCEPTIONS), kind


@pytest.mark.parametrize("port", [1, 22, 25, 79, 81, 442, 444, 6379, 8080, 8443, 65535])
def test_public_addresses_may_not_be_reached_on_other_ports(port: int) -> None:
    assert not may_connect("a.example", port, ["8.8.8.8"], NO_EXCEPTIONS)


@pytest.mark.parametrize(
    "text", ["", "a.example", "8.8.8", "8.8.8.8.8", "010.8.8.8", "8.8.8.8/32", "1::2::3", "8.8.8.8 "]
)
def test_malformed_addresses_may_not_be_reached(text: str) -> None:
    assert not may_connect("a.example", 80, [text], AllowList.parse(["a.example", "0.0.0.0/0", "::/0"]))


@pytest.mark.parametrize("address", ["fe80::1%eth0", "2001:4860:4860::8888%1", "::1%lo"])
def test_addresses_with_a_zone_may_not_be_reached_even_if_allowed(address: str) -> None:
    assert not may_connect("a.example", 80, [address], AllowList.parse(["a.example", "::/0", "fe80::/10"]))


@pytest.mark.parametrize(
    ("entry", "host", "address"),
    [
        ("10.1.0.0/16", "store.example", "10.1.255.255"),
        ("10.1.2.3", "store.example", "10.1.2.3"),
        ("10.0.0.0/255.0.0.0", "store.example", "10.9.9.9"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("::1", "::1", "::1"),
        ("fd00::/8", "store.example", "fd12:3456::1"),
        ("store.example", "store.example", "10.9.9.9"),
        ("Store.EXAMPLE.", "store.example", "fd00::1"),
        ("minio", "minio", "172.18.0.4"),
        ("my_store.internal", "my_store.internal", "172.18.0.4"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", "10.0.0.1"),
        ("localhost", "localhost", "127.0.0.1"),
    ],
)
def test_allowed_networks_and_names_may_be_reached_on_any_port(entry: str, host: str, address: str) -> None:
    allowed = AllowList.parse([entry])
    assert not may_connect(host, 80, [address], NO_EXCEPTIONS)
    assert all(may_connect(host, port, [address], allowed) for port in (80, 443, 9000))


@pytest.mark.parametrize(
    ("entry", "host", "address"),
    [
        ("10.1.0.0/16", "store.example", "10.2.0.0"),
        ("10.1.2.3", "store.example", "10.1.2.4"),
        ("10.0.0.0/8", "store.example", "::ffff:10.0.0.1"),
        ("10.0.0.0/8", "store.example", "::10.0.0.1"),
        ("::/0", "store.example", "10.0.0.1"),
        ("0.0.0.0/0", "store.example", "::1"),
        ("store.example", "evil.store.example", "10.0.0.1"),
        ("store.example", "store.example.evil.example", "10.0.0.1"),
        ("store.example", "example", "10.0.0.1"),
    ],
)
def test_an_allow_entry_covers_no_other_address_or_name(entry: str, host: str, address: str) -> None:
    assert not may_connect(host, 80, [address], AllowList.parse([entry]))


@pytest.mark.parametrize(
    "entry",
    [
        "",
        ".",
        " ",
        "10.1.0.1/16",
        "10.1.0.0/33",
        "10.1.0.0/",
        "10.1.0",
        "10.1.0.256",
        "010.1.0.0",
        "2130706433",
        "0x7f000001",
        "::1/129",
        "::1::2",
        "[::1]",
        "fe80::1%eth0",
        "fe80::%eth0/64",
        "store.example:9000",
        "http://store.example",
        "store.example/images",
        "*.example",
        "a..example",
        "bücher.example",
        "\u212aelvin.example",
        "a" * 64,
        ".".join(["a" * 50] * 6),
        "10.0.0.1, 10.0.0.2",
        "store.example\n",
    ],
)
def test_a_malformed_allow_entry_is_rejected_by_an_error_that_quotes_it(entry: str) -> None:
    with pytest.raises(ValueError, match="is neither a network") as caught:
        AllowList.parse(["10.0.0.0/8", entry])
    assert repr(entry) in str(caught.value)


def test_an_empty_list_allows_nothing() -> None:
    assert AllowList.parse([]) == NO_EXCEPTIONS


@pytest.mark.parametrize(
    ("host", "normalised"),
    [
        ("A.Example", "a.example"),
        ("a.example.", "a.example"),
        ("8.8.8.8", "8.8.8.8"),
        ("8.8.8.8.", "8.8.8.8"),
        ("2001:4860:4860:0:0:0:0:8888", "2001:4860:4860::8888"),
        ("::FFFF:7F00:1", "::ffff:7f00:1"),
        ("1.2.3.4.example", "1.2.3.4.example"),
        ("0x7f.example", "0x7f.example"),
    ],
)
def test_hosts_are_normalised(host: str, normalised: str) -> None:
    assert normalise_host(host) == normalised


@pytest.mark.parametrize(
    "host",
    [
        *("127.1", "0177.0.0.1", "2130706433", "0x7f.1", "0x7f000001", "127.0.0.0x1", "127.0.0.08", "0", "0x", "a.0x"),
        *("1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4..", "", ".", "..", "a..b", ".a", "a b", "a/b", "a@b", "a%b"),
        *("fe80::1%eth0", "::g", "[::1]", "1.2.3.4:80", "a\n", "bücher.example", "\u212a.example", "a" * 64),
    ],
)
def test_malformed_hosts_are_rejected(host: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        normalise_host(host)


@pytest.mark.parametrize(
    ("addresses", "is_allowed"),
    [
        ([], False),
        (["8.8.8.8", "2606:4700:4700::1111"], True),
        (["8.8.8.8", "10.0.0.1"], False),
        (["127.0.0.1", "8.8.8.8"], False),
        (["8.8.8.8", "::1", "1.1.1.1"], False),
        (["8.8.8.8", "nonsense"], False),
    ],
)
def test_all_addresses_of_a_host_must_be_public(addresses: list[str], is_allowed: bool) -> None:
    assert may_connect("a.example", 443, addresses, NO_EXCEPTIONS) is is_allowed
    assert may_connect("a.example", 443, iter(addresses), NO_EXCEPTIONS) is is_allowed
