"""Certificates of an own authority, made at run time."""

import ssl
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import trustme

from app.settings import ServerSettings


class TlsFiles:
    """A folder with ``ca.pem``, ``tls.crt`` and ``tls.key``."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self.ca, self.cert, self.key = folder / "ca.pem", folder / "tls.crt", folder / "tls.key"
        self._authority.cert_pem.write_to_path(str(self.ca))
        self.renew()

    @property
    def settings(self) -> ServerSettings:
        return ServerSettings(tls_cert=self.cert, tls_key=self.key)

    @property
    def environment(self) -> dict[str, str]:
        return {"COMPAREFACE_SERVER__TLS_CERT": str(self.cert), "COMPAREFACE_SERVER__TLS_KEY": str(self.key)}

    @cached_property
    def client_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca))

    def renew(self, write: Callable[[Path, bytes], object] = Path.write_bytes, **issue: Any) -> None:
        """Issue a certificate for ``localhost`` and 127.0.0.1 and write both files, the certificate first."""
        issued = self._authority.issue_cert("localhost", "127.0.0.1", **issue)
        write(self.cert, b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        write(self.key, issued.private_key_pem.bytes())
