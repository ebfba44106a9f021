"""Renewals of the certificate under load: whether any request stays without a reply."""

import base64
import json
import threading
import time
from collections import Counter
from http.client import HTTPException
from pathlib import Path
from ssl import SSLSocket
from typing import NamedTuple

from tests.support.images import astronaut, jpeg
from tests.support.server import Server, running_server
from tests.support.tls import TlsFiles

_CLIENTS = 4
_BETWEEN_RENEWALS_S = 2.5  # more than the interval at which the server checks its files


class Outcome(NamedTuple):
    """The load during all renewals."""

    codes: Counter[str]
    """Replies by code; "OK" for a score."""
    lost: list[str]
    """Errors of requests without a reply."""
    handshakes: int
    certificates: int
    """Different certificates that clients saw."""


def renewed_under_load(renewals: int, folder: Path) -> Outcome:
    """Renew the certificate of a server that answers on kept and on new connections, both files by renaming."""
    files = TlsFiles(folder)
    load = _Load()
    with running_server({"COMPAREFACE_LIMITS__MAX_IN_FLIGHT": "64"}, tls=files) as server:
        clients = [threading.Thread(target=load.run, args=(server, number == 0)) for number in range(_CLIENTS)]
        for thread in clients:
            thread.start()
        for _ in range(renewals):
            time.sleep(_BETWEEN_RENEWALS_S)
            files.renew(_rename)
        time.sleep(_BETWEEN_RENEWALS_S)
        load.is_over.set()
        for thread in clients:
            thread.join()
    return Outcome(load.codes, load.lost, load.handshakes, len(load.certificates))


def _rename(path: Path, data: bytes) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(data)
    new.replace(path)


class _Load:
    def __init__(self) -> None:
        face = base64.b64encode(jpeg(astronaut()[0:250, 100:350].copy())).decode()
        self._pair = json.dumps({"ImageA": face, "ImageB": face}).encode()
        self._lock = threading.Lock()
        self.is_over = threading.Event()
        self.codes: Counter[str] = Counter()
        self.lost: list[str] = []
        self.handshakes = 0
        self.certificates: set[bytes | None] = set()

    def run(self, server: Server, keeps_connection: bool) -> None:
        """Send requests: images on a kept connection, otherwise empty ones on a new connection each."""
        connection = server.connection()
        while not self.is_over.is_set():
            try:
                is_new = connection.sock is None
                if is_new:
                    connection.connect()
                code = server.compare(connection, self._pair if keeps_connection else b"{}")
            except (OSError, HTTPException) as error:
                with self._lock:
                    self.lost.append(repr(error))
                connection.close()
                continue
            with self._lock:
                self.codes[code] += 1
                if is_new:
                    assert isinstance(connection.sock, SSLSocket)
                    self.handshakes += 1
                    self.certificates.add(connection.sock.getpeercert(binary_form=True))
            if not keeps_connection:
                connection.close()
        connection.close()
