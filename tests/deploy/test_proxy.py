"""``deploy/compose/nginx.conf`` in a real nginx: a request rejected by its head gets the reply at once."""

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.support.server import HOST, free_port

_CONF = Path(__file__).resolve().parents[2] / "deploy/compose/nginx.conf"
_NAME = "iai.example.com"
_MAIN = """
daemon off; pid {folder}/pid; error_log stderr;
events {{}}
http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; include {folder}/server.conf; }}
"""

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def proxy(tmp_path: Path, authority: trustme.CA) -> Iterator[int]:
    """Yield the port of an nginx in front of a service that answers after the request head."""
    certificate = authority.issue_cert(_NAME)
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "tls.crt")
    certificate.private_key_pem.write_to_path(tmp_path / "tls.key")
    port = free_port()
    with socket.create_server((HOST, 0)) as service:
        threading.Thread(target=_refuse, args=(service,), daemon=True).start()
        text = _CONF.read_text().replace("compareface:8000", f"{HOST}:{service.getsockname()[1]}")
        text = text.replace("/etc/nginx/tls", str(tmp_path)).replace("listen 8443", f"listen {HOST}:{port}")
        (tmp_path / "server.conf").write_text(text)
        (tmp_path / "nginx.conf").write_text(_MAIN.format(folder=tmp_path))
        with subprocess.Popen(["nginx", "-e", "stderr", "-p", tmp_path, "-c", tmp_path / "nginx.conf"]) as nginx:
            yield port
            nginx.terminate()


def _refuse(service: socket.socket) -> None:
    connection, _ = service.accept()
    with connection:
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nrefused")
        while connection.recv(65536):
            pass


def test_a_rejection_needs_no_body(proxy: int, authority: trustme.CA) -> None:
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    with trusted.wrap_socket(_connected(proxy), server_hostname=_NAME) as connection:
        connection.sendall(f"POST / HTTP/1.1\r\nHost: {_NAME}\r\nContent-Length: 9000000\r\n\r\nx".encode())
        reply = b""
        while not reply.endswith(b"refused"):
            reply += (more := connection.recv(65536))
            assert more, reply


def _connected(port: int) -> socket.socket:
    until = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection((HOST, port), timeout=20)
        except ConnectionRefusedError:
            assert time.monotonic() < until, "nginx does not listen"
            time.sleep(0.05)
