"""Warnings about clients with the wrong protocol."""

import ssl

import pytest

from app.server.protocol_log import ProtocolLog


def _error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError()
    error.reason = reason
    return error


def test_each_cause_is_logged_at_most_once_per_minute(caplog: pytest.LogCaptureFixture) -> None:
    times = iter([0, 0, 1, 1, 59, 59, 61, 61])
    log = ProtocolLog(lambda: next(times))
    for _ in range(4):
        log.tls_on_plain_port()
        log.failed_handshake(_error("TLSV1_ALERT_UNKNOWN_CA"))
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "a TLS handshake arrived on a plain http port",
        "TLS handshake failed",
    ] * 2
