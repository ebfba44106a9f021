"""SIGTERM under load: whether any accepted request stays without a reply."""

import base64
import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Mapping
from http.client import HTTPException
from typing import NamedTuple

from tests.support.images import astronaut, jpeg
from tests.support.server import Server, running_server
from tests.support.tls import TlsFiles

_CLIENTS = 6
_LOADED_S = 0.5
_READINESS_DELAY_S = 0.3
_TIMEOUT_S = 30.0


class Outcome(NamedTuple):
    """One SIGTERM."""

    codes: Counter[str]
    """Replies by code; "OK" for a score."""
    lost: list[str]
    """Errors of accepted requests without a reply."""
    saw_unready: bool
    exit_code: int

    @property
    def is_good(self) -> bool:
        return not self.lost and self.saw_unready and self.exit_code == 0 and self.codes["OK"] > 0


def terminated_under_load(environment: Mapping[str, str] | None = None, tls: TlsFiles | None = None) -> Outcome:
    """Start a server, load it, and send it SIGTERM under load."""
    load = _Load()
    with running_server(
        {"COMPAREFACE_SERVER__READINESS_DELAY_S": str(_READINESS_DELAY_S), **(environment or {})}, tls=tls
    ) as server:
        clients = [threading.Thread(target=load.run, args=(server, number % 2 == 0)) for number in range(_CLIENTS)]
        watcher = threading.Thread(target=load.watch, args=(server,))
        for thread in (*clients, watcher):
            thread.start()
        time.sleep(_LOADED_S)
        server.process.send_signal(signal.SIGTERM)
        exit_code = server.process.wait(timeout=60)
        for thread in (*clients, watcher):
            thread.join()
    return Outcome(load.codes, load.lost, load.saw_unready, exit_code)


class _Load:
    """The clients of one server, and their replies."""

    def __init__(self) -> None:
        face = base64.b64encode(jpeg(astronaut()[0:250, 100:350].copy())).decode()
        self._pair = json.dumps({"ImageA": face, "ImageB": face}).encode()
        self._lock = threading.Lock()
        self.codes: Counter[str] = Counter()
        self.lost: list[str] = []
        self.saw_unready = False

    def run(self, server: Server, keeps_connection: bool) -> None:
        """Send requests until the server no longer listens."""
        connection = server.connection(_TIMEOUT_S)
        while True:
            try:
                if connection.sock is None:
                    connection.connect()  # with TLS, the handshake, too
                code = server.compare(connection, self._pair if keeps_connection else b"{}")
            except ConnectionRefusedError:
                return
            except (OSError, HTTPException) as error:
                with self._lock:
                    self.lost.append(repr(error))
                connection.close()
            else:
                with self._lock:
                    self.codes[code] += 1
                if not keeps_connection:
                    connection.close()

    def watch(self, server: Server) -> None:
        """Poll ``/readyz`` until the server no longer listens."""
        while True:
            connection = server.connection(_TIMEOUT_S)
            try:
                connection.connect()
                connection.request("GET", "/readyz")
                self.saw_unready |= connection.getresponse().status == 503
            except ConnectionRefusedError:
                return
            except (OSError, HTTPException) as error:
                with self._lock:
                    self.lost.append(f"/readyz: {error!r}")
            finally:
                connection.close()
            time.sleep(0.02)
