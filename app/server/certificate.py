"""The certificate of the server: read, checked, and read again when its files change.

Every handshake uses the context of :meth:`Certificate.context`. A renewed pair gets a context of its own, which
replaces the previous one only after it has passed all checks, so no handshake sees half of a pair.
"""

import hashlib
import logging
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, NoReturn, Self

from app.environment import SettingsError
from app.settings import ServerSettings

_CHECK_INTERVAL_S = 2.0
"""Seconds between checks whether the files have changed."""
_CERT, _KEY = "COMPAREFACE_SERVER__TLS_CERT", "COMPAREFACE_SERVER__TLS_KEY"
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: forward secrecy and authenticated encryption. All ciphers of TLS 1.3 have both."""

_log = logging.getLogger(__name__)


class _Files(NamedTuple):
    cert: Path
    key: Path

    def digest(self) -> bytes:
        """Return a hash of the content of both files; raise ``SettingsError`` if one cannot be read."""
        digest = hashlib.sha256()
        for setting, path in ((_CERT, self.cert), (_KEY, self.key)):
            try:
                digest.update(hashlib.sha256(path.read_bytes()).digest())
            except OSError as error:
                raise SettingsError(f"{setting}: {path}: {error.strerror}") from error
        return digest.digest()


class Certificate:
    """The certificate chain and the key of the server. Belongs to one thread."""

    def __init__(self, files: _Files, digest: bytes, context: ssl.SSLContext, clock: Callable[[], float]) -> None:
        self._files = files
        self._digest = digest
        self._context = context
        self._clock = clock
        self._checked_at = clock()
        self._last_error = self._logged_error = ""

    @classmethod
    def open(cls, settings: ServerSettings, clock: Callable[[], float] = time.monotonic) -> Self | None:
        """Read the files, if they are configured; raise ``SettingsError`` if clients could not use the pair."""
        if settings.tls_cert is None or settings.tls_key is None:
            return None
        files = _Files(settings.tls_cert, settings.tls_key)
        return cls(files, files.digest(), _load(files), clock)

    def context(self) -> ssl.SSLContext:
        """Return the context for the next handshake; first read the files again if they have changed."""
        if self._clock() - self._checked_at >= _CHECK_INTERVAL_S:
            self._checked_at = self._clock()
            self._reload()
        return self._context

    def _reload(self) -> None:
        """Load a changed pair. A failure is logged at its second check: the first may see files of different pairs."""
        try:
            digest = self._files.digest()
            if digest != self._digest:
                self._context = _load(self._files)
        except SettingsError as error:
            reason = str(error)
            if reason == self._last_error != self._logged_error:
                _log.error("TLS reload failed, keeping the previous certificate", extra={"fields": {"reason": reason}})
                self._logged_error = reason
            self._last_error = reason
        else:
            self._digest, self._last_error, self._logged_error = digest, "", ""


def _load(files: _Files) -> ssl.SSLContext:
    """Return the context of a pair; raise ``SettingsError`` if clients could not use it."""
    client = _client_context(files.cert)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(files.cert, files.key, _reject_encrypted_key)
    except ssl.SSLError as error:
        raise SettingsError(f"{_KEY}: {files.key}: {_key_problem(error)}") from error
    except OSError as error:  # the files were replaced a moment ago
        raise SettingsError(f"{_KEY}: {files.key}: {error.strerror}") from error
    try:
        expires = _try_handshake(context, client)
    except ssl.SSLCertVerificationError as error:
        raise SettingsError(f"{_CERT}: {files.cert}: {error.verify_message}") from error
    except ssl.SSLError as error:
        raise SettingsError(f"{_CERT}: {files.cert}: no client could connect: {error.reason}") from error
    _log.info("TLS certificate loaded", extra={"fields": {"expires": expires.isoformat()}})
    return context


def _client_context(cert: Path) -> ssl.SSLContext:
    """Return the context of a client that trusts the certificate itself, whatever its authority is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cert)
    except ssl.SSLError as error:
        raise SettingsError(f"{_CERT}: {cert}: not a certificate chain in PEM format") from error
    except OSError as error:
        raise SettingsError(f"{_CERT}: {cert}: {error.strerror}") from error
    return context


def _reject_encrypted_key() -> NoReturn:
    raise SettingsError(f"{_KEY}: the key is encrypted; decrypt it with `openssl pkey -in KEY -out DECRYPTED_KEY`")


def _key_problem(error: ssl.SSLError) -> str:
    if error.reason is None:
        return "not a private key in PEM format"
    if error.reason in {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"}:
        return f"not the key of the first certificate in {_CERT}"
    return f"OpenSSL refuses the certificate or the key: {error.reason}"


def _try_handshake(server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> datetime:
    """Connect a client to a server in memory, which checks the certificate's dates; return when it expires."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    details = client.getpeercert() or {}
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(details["notAfter"])), UTC)
