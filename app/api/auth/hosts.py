"""Hosts and paths that a client may have signed.

The Node SDK omits the port of the host, and tccli adds a scheme. If the endpoint has a path, the Python and Java SDKs
put it into the Host header, the Node SDK signs it as path, and old Go SDKs sign it as part of the host. Proxies
replace the host; then the client signed a public host of this service or an endpoint of the vendor.
"""

import re

_REGIONS = (
    "ap-bangkok",
    "ap-beijing",
    "ap-beijing-fsi",
    "ap-chengdu",
    "ap-chongqing",
    "ap-guangzhou",
    "ap-guangzhou-open",
    "ap-hongkong",
    "ap-jakarta",
    "ap-mumbai",
    "ap-nanjing",
    "ap-seoul",
    "ap-shanghai",
    "ap-shanghai-fsi",
    "ap-shenzhen-fsi",
    "ap-singapore",
    "ap-tokyo",
    "eu-frankfurt",
    "eu-moscow",
    "na-ashburn",
    "na-siliconvalley",
    "na-toronto",
    "sa-saopaulo",
)
"""Regions of the Go SDK (``common/regions``) and of the vendor's page "Request Structure"."""

VENDOR_HOSTS = (
    "iai.tencentcloudapi.com",
    *(f"iai.{part}.tencentcloudapi.com" for part in ("intl", "internal", *_REGIONS)),
)
"""The endpoints of the product ``iai``: nearest region, international site, network of the cloud, and one region."""

_HOST = re.compile(
    r"(https?://)?(?P<address>(?P<name>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?)(/[A-Za-z0-9._~%/-]*)?"
)


def signed_locations(host: str, path: str, public_hosts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return the pairs of host and path that a client may have signed, most likely first.

    ``host``: Host header; ``path``: path of the request. Clients sign ``path`` or, for every path, ``/``. The vendor's
    endpoints have no path, so clients sign ``/`` for them.

    An invalid Host header adds no pair. Signature v1 signs host, path and parameters as one string without escapes.
    If the host could contain `?`, an attacker could move parameters into the Host header: the signature would still
    match, but the action would not receive them.
    """
    match = _HOST.fullmatch(host)
    received = (host, match["address"], match["name"]) if match else ()
    pairs = [(name, signed) for name in (*received, *public_hosts) for signed in (path, "/")]
    endpoint = [(match["address"] + path.rstrip("/"), "/")] if match else []
    return tuple(dict.fromkeys([*pairs, *endpoint, *((name, "/") for name in VENDOR_HOSTS)]))
