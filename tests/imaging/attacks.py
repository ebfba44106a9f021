"""URLs of server-side request forgery, and the expected outcome of each.

``{port}`` is the port of a private server on 127.0.0.1 and ::1, which must not receive a connection. ``{public_port}``
is the port of a public server on 127.0.0.2, which replies with the head in the query. ``name_server.py`` resolves the
names.
"""

from typing import NamedTuple
from urllib.parse import quote

ILLEGAL, FAILED, FETCHED = "UrlIllegal", "ImageDownloadError", "fetched from the public server"


class Attack(NamedTuple):
    """A URL, and the outcome of the download."""

    label: str
    url: str
    outcome: str


def reply_with(head: str, host: str = "outside.example") -> str:
    """Return a URL whose server replies with ``head``."""
    return f"http://{host}:{{public_port}}/?head={quote(head, safe='{}')}"


def redirect_to(location: str, status: str = "302 Found", host: str = "outside.example") -> str:
    """Return a URL whose server redirects to ``location``."""
    return reply_with(f"{status}\nLocation: {location}", host)


_IPV4 = [
    Attack("loopback", "http://127.0.0.1:{port}/", FAILED),
    Attack("another loopback", "http://127.127.127.127:{port}/", FAILED),
    Attack("this host", "http://0.0.0.0:{port}/", FAILED),
    Attack("this host, in short", "http://0:{port}/", ILLEGAL),
    Attack("decimal", "http://2130706433:{port}/", ILLEGAL),
    Attack("octal", "http://017700000001:{port}/", ILLEGAL),
    Attack("hexadecimal", "http://0x7f000001:{port}/", ILLEGAL),
    Attack("dotted octal", "http://0177.0.0.1:{port}/", ILLEGAL),
    Attack("dotted hexadecimal", "http://0x7f.0x0.0x0.0x1:{port}/", ILLEGAL),
    Attack("mixed bases", "http://0x7f.0.00.01:{port}/", ILLEGAL),
    Attack("one dot", "http://127.1:{port}/", ILLEGAL),
    Attack("two dots", "http://127.0.1:{port}/", ILLEGAL),
    Attack("leading zeros", "http://127.000.000.001:{port}/", ILLEGAL),
    Attack("overflowing parts", "http://383.256.256.257:{port}/", ILLEGAL),
    Attack("overflowing number", "http://6425673729:{port}/", ILLEGAL),
    Attack("trailing dot", "http://127.0.0.1.:{port}/", FAILED),
    Attack("two trailing dots", "http://127.0.0.1..:{port}/", ILLEGAL),
    Attack("in brackets", "http://[127.0.0.1]:{port}/", ILLEGAL),
    Attack("full-width digits", "http://１２７.０.０.１:{port}/", ILLEGAL),
    Attack("circled digits", "http://①②⑦.⓪.⓪.①:{port}/", ILLEGAL),
    Attack("mathematical digits", "http://𝟏𝟐𝟕.𝟎.𝟎.𝟏:{port}/", ILLEGAL),
    Attack("ideographic full stops", "http://127。0。0。1:{port}/", FAILED),
    Attack("half-width full stops", "http://127｡0｡0｡1:{port}/", FAILED),
    Attack("percent-encoded", "http://%31%32%37.0.0.1:{port}/", ILLEGAL),
    Attack("private, class A", "http://10.0.0.1/", FAILED),
    Attack("private, class B", "http://172.16.0.1/", FAILED),
    Attack("private, class C", "http://192.168.1.1/", FAILED),
    Attack("carrier-grade NAT", "http://100.64.0.1/", FAILED),
    Attack("link-local", "http://169.254.1.1/", FAILED),
    Attack("multicast", "http://224.0.0.1/", FAILED),
    Attack("reserved", "http://240.0.0.1/", FAILED),
    Attack("broadcast", "http://255.255.255.255/", FAILED),
    Attack("benchmarking network", "http://198.18.0.1/", FAILED),
]
_IPV6 = [
    Attack("loopback", "http://[::1]:{port}/", FAILED),
    Attack("loopback, in full", "http://[0000:0000:0000:0000:0000:0000:0000:0001]:{port}/", FAILED),
    Attack("this host", "http://[::]:{port}/", FAILED),
    Attack("IPv4-mapped", "http://[::ffff:127.0.0.1]:{port}/", FAILED),
    Attack("IPv4-mapped, hexadecimal", "http://[::ffff:7f00:1]:{port}/", FAILED),
    Attack("IPv4-mapped, in full", "http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/", FAILED),
    Attack("IPv4-mapped zero", "http://[::ffff:0.0.0.0]:{port}/", FAILED),
    Attack("IPv4-compatible", "http://[::127.0.0.1]:{port}/", FAILED),
    Attack("IPv4-translated", "http://[::ffff:0:127.0.0.1]:{port}/", FAILED),
    Attack("NAT64", "http://[64:ff9b::127.0.0.1]:{port}/", FAILED),
    Attack("NAT64, local", "http://[64:ff9b:1::7f00:1]:{port}/", FAILED),
    Attack("6to4", "http://[2002:7f00:1::]:{port}/", FAILED),
    Attack("Teredo, server", "http://[2001:0:7f00:1::1]:{port}/", FAILED),
    Attack("Teredo, client", "http://[2001:0:808:808::80ff:fffe]:{port}/", FAILED),
    Attack("zone", "http://[::1%25lo]:{port}/", ILLEGAL),
    Attack("zone, unescaped", "http://[fe80::1%lo]:{port}/", ILLEGAL),
    Attack("link-local", "http://[fe80::1]:{port}/", FAILED),
    Attack("unique local", "http://[fd00::1]:{port}/", FAILED),
    Attack("site-local", "http://[fec0::1]:{port}/", FAILED),
    Attack("multicast", "http://[ff02::1]:{port}/", FAILED),
    Attack("multicast, global scope", "http://[ff0e::1]:{port}/", FAILED),
    Attack("discard only", "http://[100::1]:{port}/", FAILED),
    Attack("without brackets", "http://::1:{port}/", ILLEGAL),
    Attack("brackets, then a name", "http://[::1].outside.example:{port}/", ILLEGAL),
    Attack("a later kind of address", "http://[v1.127.0.0.1]:{port}/", ILLEGAL),
]
_METADATA = [
    Attack("AWS, Google, Azure and most others", "http://169.254.169.254/latest/meta-data/", FAILED),
    Attack("the same in decimal", "http://2852039166/latest/meta-data/", ILLEGAL),
    Attack("the same, IPv4-mapped", "http://[::ffff:a9fe:a9fe]/latest/meta-data/", FAILED),
    Attack("AWS, IPv6", "http://[fd00:ec2::254]/latest/meta-data/", FAILED),
    Attack("AWS, credentials of tasks", "http://169.254.170.2/v2/credentials", FAILED),
    Attack("AWS, identities of pods", "http://169.254.170.23/v1/credentials", FAILED),
    Attack("Google, by name", "http://metadata.google.internal/computeMetadata/v1/", FAILED),
    Attack("Google, IPv6", "http://[fd20:ce::254]/computeMetadata/v1/", FAILED),
    Attack("Azure, platform service", "http://168.63.129.16/machine/?comp=goalstate", FAILED),
    Attack("Alibaba", "http://100.100.100.200/latest/meta-data/", FAILED),
    Attack("Oracle", "http://192.0.0.192/opc/v2/instance/", FAILED),
    Attack("Tencent", "http://169.254.0.23/latest/meta-data/", FAILED),
    Attack("Tencent, by name", "http://metadata.tencentyun.com/latest/meta-data/", FAILED),
    Attack("Scaleway", "http://169.254.42.42/conf", FAILED),
    Attack("Linode, IPv6", "http://[fd00:a9fe:a9fe::1]/v1/instance", FAILED),
    Attack("OpenStack, IPv6", "http://[fe80::a9fe:a9fe%25eth0]/openstack", ILLEGAL),
    Attack("Kubernetes", "https://kubernetes.default.svc/api", FAILED),
    Attack("Docker's host", "http://host.docker.internal/", FAILED),
    Attack("Docker's bridge", "http://172.17.0.1/", FAILED),
]
_DNS = [
    Attack("localhost", "http://localhost:{port}/", FAILED),
    Attack("localhost, written otherwise", "http://LOCALHOST.:{port}/", FAILED),
    Attack("localhost in circled letters", "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{port}/", ILLEGAL),
    Attack("localhost with a soft hyphen", "http://local\u00adhost:{port}/", ILLEGAL),
    Attack("localhost, percent-encoded", "http://%6cocalhost:{port}/", ILLEGAL),
    Attack("localhost with a domain", "http://localhost.localdomain:{port}/", FAILED),
    Attack("a name of the local network", "http://db/", FAILED),
    Attack("a name for loopback", "http://private.example:{port}/", FAILED),
    Attack("a name for loopback, IPv6", "http://private-6.example:{port}/", FAILED),
    Attack("a name for a private address", "http://ten.example/", FAILED),
    Attack("a name for an IPv4-mapped address", "http://mapped.example:{port}/", FAILED),
    Attack("a name for a NAT64 address", "http://nat64.example:{port}/", FAILED),
    Attack("a name for an address with a zone", "http://zone.example:{port}/", FAILED),
    Attack("a name for 0.0.0.0", "http://zero.example:{port}/", FAILED),
    Attack("a name that repeats its address", "http://127.0.0.1.nip.example:{port}/", FAILED),
    Attack("punycode", "http://xn--bcher-kva.example:{port}/", FAILED),
    Attack("a name that becomes punycode", "http://bücher.example:{port}/", FAILED),
    Attack("an alias (CNAME) of a metadata service", "http://alias.example/", FAILED),
    Attack("a public and a private answer", "http://mixed.example:{port}/", FAILED),
    Attack("a private and a public answer", "http://mixed-first.example:{port}/", FAILED),
    Attack("answers of both families, one private", "http://mixed-6.example:{port}/", FAILED),
    Attack("300 public answers, then a private one", "http://crowd.example:{port}/", FAILED),
    Attack("no answer", "http://nothing.example:{port}/", FAILED),
    Attack("an answer that is no address", "http://garbage.example:{port}/", FAILED),
    Attack("a name that does not exist", "http://missing.example:{port}/", FAILED),
    Attack("rebinding between look-up and connect", "http://rebinds.example:{public_port}/", FETCHED),
    Attack("rebinding to IPv6", "http://rebinds-to-six.example:{public_port}/", FETCHED),
    Attack("rebinding between two hops", redirect_to("http://hops.example:{port}/", host="hops.example"), FAILED),
    Attack("rebinding of one of two answers", redirect_to("http://both.example:{port}/", host="both.example"), FAILED),
]
_CONFUSION = [
    Attack("a name as user", "http://outside.example@127.0.0.1:{port}/", ILLEGAL),
    Attack("name and port as user and password", "http://outside.example:80@127.0.0.1:{port}/", ILLEGAL),
    Attack("an empty user", "http://@127.0.0.1:{port}/", FAILED),
    Attack("two at signs", "http://a@127.0.0.1:{port}@outside.example/", ILLEGAL),
    Attack("an address as user", "http://127.0.0.1:{port}@outside.example/", ILLEGAL),
    Attack("an at sign, percent-encoded", "http://outside.example%40127.0.0.1:{port}/", ILLEGAL),
    Attack("an at sign, full-width", "http://outside.example＠127.0.0.1:{port}/", ILLEGAL),
    Attack("backslash, then at sign", "http://outside.example\\@127.0.0.1:{port}/", ILLEGAL),
    Attack("backslash as end of the host", "http://127.0.0.1:{port}\\@outside.example/", ILLEGAL),
    Attack("backslashes for slashes", "http:\\\\127.0.0.1:{port}\\", ILLEGAL),
    Attack("slash, full-width", "http://127.0.0.1:{port}／.outside.example/", ILLEGAL),
    Attack("slash, percent-encoded", "http://127.0.0.1%2f.outside.example:{port}/", ILLEGAL),
    Attack("question mark, full-width", "http://127.0.0.1？.outside.example:{port}/", ILLEGAL),
    Attack("query as end of the host", "http://127.0.0.1:{port}?.outside.example/", FAILED),
    Attack("fragment as end of the host", "http://127.0.0.1:{port}#.outside.example/", FAILED),
    Attack("fragment, then at sign", "http://outside.example:{public_port}#@127.0.0.1:{port}/", FETCHED),
    Attack("query, then at sign", "http://outside.example:{public_port}?@127.0.0.1:{port}/", FETCHED),
    Attack("path, then at sign", "http://outside.example:{public_port}/@127.0.0.1:{port}/", FETCHED),
    Attack("an address in front of a public name", "http://127.0.0.1.outside.example:{public_port}/", FETCHED),
    Attack("NUL in the host", "http://127.0.0.1\x00.outside.example:{port}/", ILLEGAL),
    Attack("NUL in the host, percent-encoded", "http://127.0.0.1%00.outside.example:{port}/", ILLEGAL),
    Attack("tab in the host", "http://127.0\t.0.1:{port}/", ILLEGAL),
    Attack("new line in the host", "http://127.0.0.1\n:{port}/", ILLEGAL),
    Attack("space in front", " http://127.0.0.1:{port}/", FAILED),
    Attack("line break behind", "http://127.0.0.1:{port}/\r\n", FAILED),
    Attack("space in the host", "http://outside.example .127.0.0.1:{port}/", ILLEGAL),
    Attack("space before the port", "http://127.0.0.1 :{port}/", ILLEGAL),
    Attack("space after the host", "http://127.0.0.1 {port}/", ILLEGAL),
    Attack("space before the user", "http://outside.example @127.0.0.1:{port}/", ILLEGAL),
    Attack("space in the host", "http://outside.example 127.0.0.1:{port}/", ILLEGAL),
    Attack("space without width", "http://127.0.0.1\u200b:{port}/", ILLEGAL),
    Attack("byte order mark in front", "\ufeffhttp://127.0.0.1:{port}/", ILLEGAL),
    Attack("line separator", "http://outside.example:{public_port}/\u2028", ILLEGAL),
    Attack("another Host header", "http://outside.example:{public_port}/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", ILLEGAL),
    Attack(
        "the same, percent-encoded", "http://outside.example:{public_port}/%20HTTP/1.1%0d%0aHost:%20127.0.0.1", FETCHED
    ),
    Attack("three slashes", "http:///127.0.0.1:{port}/", ILLEGAL),
    Attack("one slash", "http:/127.0.0.1:{port}/", ILLEGAL),
    Attack("no slash", "http:127.0.0.1:{port}/", ILLEGAL),
    Attack("no scheme", "//127.0.0.1:{port}/", ILLEGAL),
    Attack("address and port only", "127.0.0.1:{port}/", ILLEGAL),
    Attack("URL as scheme", "url:http://127.0.0.1:{port}/", ILLEGAL),
]
_SCHEMES = [
    Attack("file", "file:///etc/passwd", ILLEGAL),
    Attack("file with a host", "file://127.0.0.1:{port}/etc/passwd", ILLEGAL),
    Attack("file as a path", "/etc/passwd", ILLEGAL),
    Attack("ftp", "ftp://127.0.0.1:{port}/a.jpg", ILLEGAL),
    Attack("gopher", "gopher://127.0.0.1:{port}/_GET%20/", ILLEGAL),
    Attack("dict", "dict://127.0.0.1:{port}/info", ILLEGAL),
    Attack("ldap", "ldap://127.0.0.1:{port}/", ILLEGAL),
    Attack("tftp", "tftp://127.0.0.1:{port}/a", ILLEGAL),
    Attack("ws", "ws://127.0.0.1:{port}/", ILLEGAL),
    Attack("jar", "jar:http://127.0.0.1:{port}!/", ILLEGAL),
    Attack("a socket of the file system", "http+unix://%2Frun%2Fdocker.sock/images/json", ILLEGAL),
    Attack("data", "data:image/png;base64,QUJD", ILLEGAL),
    Attack("javascript", "javascript:fetch('http://127.0.0.1:{port}')", ILLEGAL),
    Attack("https", "https://127.0.0.1:{port}/", FAILED),
]
_PORTS = [
    Attack("SSH of a public host", "http://public.example:22/", FAILED),
    Attack("mail of a public host", "http://public.example:25/", FAILED),
    Attack("Redis of a public host", "http://public.example:6379/", FAILED),
    Attack("a port next to the web's", "http://public.example:81/", FAILED),
    Attack("zero", "http://outside.example:0/", ILLEGAL),
    Attack("beyond the last", "http://outside.example:65536/", ILLEGAL),
    Attack("beyond the last, wrapping to 22", "http://outside.example:65558/", ILLEGAL),
    Attack("negative", "http://outside.example:-1/", ILLEGAL),
    Attack("two", "http://127.0.0.1:{port}:80/", ILLEGAL),
    Attack("full-width digits", "http://public.example:２２/", FAILED),
]
_REDIRECTS = [
    *(
        Attack(f"to loopback, {status}", redirect_to("http://127.0.0.1:{port}/", status), FAILED)
        for status in (
            "301 Moved",
            "302 Found",
            "303 See Other",
            "307 Temporary",
            "308 Permanent",
            "300 Choices",
            "305 Proxy",
        )
    ),
    Attack("to loopback, IPv6", redirect_to("http://[::1]:{port}/"), FAILED),
    Attack("to loopback, IPv4-mapped", redirect_to("http://[::ffff:127.0.0.1]:{port}/"), FAILED),
    Attack("to loopback, NAT64", redirect_to("http://[64:ff9b::7f00:1]:{port}/"), FAILED),
    Attack("to loopback, decimal", redirect_to("http://2130706433:{port}/"), FAILED),
    Attack("to loopback, octal", redirect_to("http://0177.0.0.1:{port}/"), FAILED),
    Attack("to loopback, short", redirect_to("http://127.1:{port}/"), FAILED),
    Attack("to 0.0.0.0", redirect_to("http://0.0.0.0:{port}/"), FAILED),
    Attack("to localhost", redirect_to("http://localhost:{port}/"), FAILED),
    Attack("to a zone", redirect_to("http://[fe80::1%25lo]:{port}/"), FAILED),
    Attack("to a metadata service", redirect_to("http://169.254.169.254/latest/meta-data/"), FAILED),
    Attack("to a name for loopback", redirect_to("http://private.example:{port}/"), FAILED),
    Attack("to a name with mixed answers", redirect_to("http://mixed.example:{port}/"), FAILED),
    Attack("to another port", redirect_to("http://public.example:6379/"), FAILED),
    Attack("with user information", redirect_to("http://outside.example@127.0.0.1:{port}/"), FAILED),
    Attack("without a scheme", redirect_to("//127.0.0.1:{port}/"), FAILED),
    Attack("with three slashes", redirect_to("///127.0.0.1:{port}/"), FETCHED),
    Attack("with slash and backslash", redirect_to("/\\127.0.0.1:{port}/"), FAILED),
    Attack("with backslashes", redirect_to("\\\\127.0.0.1:{port}\\"), FAILED),
    Attack("with parent segments", redirect_to("/../../127.0.0.1:{port}/"), FETCHED),
    Attack("to https", redirect_to("https://127.0.0.1:{port}/"), FAILED),
    Attack("to file", redirect_to("file:///etc/passwd"), FAILED),
    Attack("to gopher", redirect_to("gopher://127.0.0.1:{port}/_GET"), FAILED),
    Attack("to ftp", redirect_to("ftp://127.0.0.1:{port}/"), FAILED),
    Attack("to data", redirect_to("data:image/png;base64,QUJD"), FAILED),
    Attack("without a location", redirect_to(""), FAILED),
    Attack("space in front of the location", redirect_to("  http://127.0.0.1:{port}/ "), FAILED),
    Attack("space in the path", redirect_to("http://127.0.0.1:{port}/my photo.jpg"), FAILED),
    Attack("space in the host of the location", redirect_to("http://outside.example 127.0.0.1:{port}/"), FAILED),
    Attack("with two locations", redirect_to("/a.jpg\nLocation: http://127.0.0.1:{port}/"), FAILED),
    Attack("in three hops", redirect_to(redirect_to(redirect_to("http://127.0.0.1:{port}/"))), FAILED),
    Attack(
        "more than three",
        redirect_to(redirect_to(redirect_to(redirect_to("http://outside.example:{public_port}/")))),
        FAILED,
    ),
    Attack("by Refresh", reply_with("200 OK\nRefresh: 0; url=http://127.0.0.1:{port}/"), FETCHED),
    Attack("by Content-Location", reply_with("200 OK\nContent-Location: http://127.0.0.1:{port}/"), FETCHED),
    Attack("by Alt-Svc", reply_with('200 OK\nAlt-Svc: http/1.1="127.0.0.1:{port}"; persist=1'), FETCHED),
    Attack("by Link", reply_with("200 OK\nLink: <http://127.0.0.1:{port}/>; rel=preload"), FETCHED),
    Attack("by asking for a password", reply_with("401 No\nWWW-Authenticate: Basic realm=a"), FAILED),
    Attack("by asking for a proxy password", reply_with("407 No\nProxy-Authenticate: Basic realm=a"), FAILED),
]

ATTACKS = {
    "IPv4 addresses": _IPV4,
    "IPv6 addresses": _IPV6,
    "Metadata services and neighbours": _METADATA,
    "Names": _DNS,
    "Which part is the host?": _CONFUSION,
    "Schemes": _SCHEMES,
    "Ports": _PORTS,
    "Redirects": _REDIRECTS,
}
