"""Log lines about clients that use another protocol than the server, at most one per cause and minute."""

import logging
import ssl
import time
from collections.abc import Callable

_INTERVAL_S = 60.0
_NOT_TLS = ("HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "WRONG_VERSION_NUMBER")
"""OpenSSL's reasons for data without TLS: plain http by its method, and any other data."""

_log = logging.getLogger(__name__)


class ProtocolLog:
    """Logs causes for which an operator has to change the server or a client."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logged_at: dict[str, float] = {}

    def tls_on_plain_port(self) -> None:
        self._warn(
            "a TLS handshake arrived on a plain http port: set the protocol of the client to http. "
            "COMPAREFACE_SERVER__TLS_CERT and COMPAREFACE_SERVER__TLS_KEY change the main port to https, not the "
            "health port"
        )

    def failed_handshake(self, error: ssl.SSLError) -> None:
        if error.reason in _NOT_TLS:
            self._warn(
                "data without TLS, such as a plain http request, arrived on the https port: set the protocol of the "
                "client to https"
            )
        else:
            self._warn(f"TLS handshake failed: {error.reason}")

    def _warn(self, message: str) -> None:
        now = self._clock()
        if now - self._logged_at.get(message, -_INTERVAL_S) >= _INTERVAL_S:
            self._logged_at[message] = now
            _log.warning(message)
