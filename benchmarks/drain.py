"""SIGTERM under load, again and again: is any request that was let in left without a reply?

``python -m benchmarks.drain 50``. Each time a real server is loaded by clients of two kinds, those who keep their
connection and compare two faces, and those who open one connection for each request and are refused quickly; then it
is told to end. A request is *lost* when its connection was made and no whole reply came; who cannot connect any more
has not been let in. Prints one line per time and the sums; the exit code is 1 when anything was lost, readiness did not
drop before the address was given up, or a server ended badly.
"""

from __future__ import annotations

import base64
import json
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import NamedTuple

from app.api.auth.keys import Key
from app.cli.sign import signed_headers
from tests.support.images import astronaut, jpeg
from tests.support.server import Server, running_server

_CLIENTS = 6
_LOADED_S = 0.5
_NOTICE_S = 0.3
_PATIENCE_S = 30.0


class Outcome(NamedTuple):
    """One SIGTERM."""

    codes: Counter[str]
    """Replies, by code; "OK" for a score."""
    lost: list[str]
    """What became of requests that were let in and not answered."""
    saw_unready: bool
    exit_code: int

    @property
    def is_good(self) -> bool:
        return not self.lost and self.saw_unready and self.exit_code == 0 and self.codes["OK"] > 0


def main() -> int:
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    outcomes = []
    for number in range(1, times + 1):
        outcome = terminated_under_load()
        outcomes.append(outcome)
        print(f"{number:>4}  answered {dict(outcome.codes)}  lost {outcome.lost}  exit code {outcome.exit_code}")
    answered = sum((outcome.codes for outcome in outcomes), Counter[str]())
    print(f"{times} times SIGTERM: answered {dict(answered)}, lost {sum(len(each.lost) for each in outcomes)}")
    return 0 if all(outcome.is_good for outcome in outcomes) else 1


def terminated_under_load(environment: Mapping[str, str] | None = None) -> Outcome:
    """Start a server, load it, end it by SIGTERM while it is loaded."""
    load = _Load()
    with running_server({"COMPAREFACE_SERVER__READINESS_DELAY_S": str(_NOTICE_S), **(environment or {})}) as server:
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
    """What the clients of one server have seen."""

    def __init__(self) -> None:
        face = base64.b64encode(jpeg(astronaut()[0:250, 100:350].copy())).decode()
        self._pair = json.dumps({"ImageA": face, "ImageB": face}).encode()
        self._lock = threading.Lock()
        self.codes: Counter[str] = Counter()
        self.lost: list[str] = []
        self.saw_unready = False

    def run(self, server: Server, keeps_connection: bool) -> None:
        """Ask until nobody listens any more."""
        connection = HTTPConnection(server.host, server.port, timeout=_PATIENCE_S)
        while True:
            try:
                if connection.sock is None:
                    connection.connect()
            except OSError:
                return
            try:
                code = self._ask(server, connection, self._pair if keeps_connection else b"{}")
            except (OSError, HTTPException) as error:
                with self._lock:
                    self.lost.append(repr(error))
                connection.close()
            else:
                with self._lock:
                    self.codes[code] += 1
                if not keeps_connection:
                    connection.close()

    def _ask(self, server: Server, connection: HTTPConnection, body: bytes) -> str:
        key = Key(label="drain", secret_key=server.secret_key)
        signed = signed_headers(server.secret_id, key, server.endpoint, body, int(time.time()))
        common = {"Host": server.endpoint, "X-TC-Action": "CompareFace", "X-TC-Version": "2020-03-03"}
        connection.request("POST", "/", body, {**common, **signed})
        response = json.loads(connection.getresponse().read())["Response"]
        return str(response["Error"]["Code"]) if "Error" in response else "OK"

    def watch(self, server: Server) -> None:
        """Look at ``/readyz`` until nobody listens any more."""
        while True:
            connection = HTTPConnection(server.host, server.port, timeout=_PATIENCE_S)
            try:
                connection.connect()
            except OSError:
                return
            try:
                connection.request("GET", "/readyz")
                self.saw_unready |= connection.getresponse().status == 503  # noqa: PLR2004
            except (OSError, HTTPException) as error:
                with self._lock:
                    self.lost.append(f"/readyz: {error!r}")
            finally:
                connection.close()
            time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main())
