"""Kill server processes under load: ``python -m benchmarks.kill 20``.

Clients keep their connections and compare two faces with a service of two server processes. One process after the other
is killed. Only requests on the connections of the killed process may fail, by a connection error; a client that
reconnects before the process has exited may get it once more. At the end ``/metrics`` must have counted every response;
requests that were being answered at a kill may be counted in addition.
"""

import argparse
import base64
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tests.support.images import astronaut, jpeg
from tests.support.processes import server_processes, wait_for_replacement
from tests.support.server import Server, running_server

_CLIENTS = 8
_LOADED_S = 1.0
_SETTINGS = {"COMPAREFACE_SERVER__WORKERS": "2", "COMPAREFACE_METRICS__ENABLED": "true"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("times", nargs="?", type=int, default=20)
    times = parser.parse_args().times
    codes = [Counter[str]() for _ in range(_CLIENTS)]
    stop = threading.Event()
    with running_server(_SETTINGS, log=Path(os.devnull)) as server:
        clients = [threading.Thread(target=_send, args=(server, stop, counter), daemon=True) for counter in codes]
        for client in clients:
            client.start()
        for _ in range(times):
            time.sleep(_LOADED_S)
            killed = server_processes(server.process.pid)[0]
            os.kill(killed, signal.SIGKILL)
            wait_for_replacement(server.process.pid, killed)
        stop.set()
        for client in clients:
            client.join()
        counted = int(server.metric('compareface_requests_total{action="CompareFace",code="OK"}'))
    total = sum(codes, Counter[str]())
    ok, lost = total["OK"], total["connection error"]
    print(f"{times} kills: responses {dict(total)}, counted in /metrics: {counted}")
    is_good = total.total() == ok + lost and lost <= 2 * times * _CLIENTS and ok <= counted <= ok + lost
    return 0 if is_good else 1


def _send(server: Server, stop: threading.Event, codes: Counter[str]) -> None:
    face = base64.b64encode(jpeg(astronaut()[0:250, 100:350].copy())).decode()
    pair = json.dumps({"ImageA": face, "ImageB": face}).encode()
    connection = HTTPConnection(server.host, server.port, timeout=30)
    while not stop.is_set():
        try:
            codes[server.compare(connection, pair)] += 1
        except (OSError, HTTPException):
            codes["connection error"] += 1
            connection.close()


if __name__ == "__main__":
    sys.exit(main())
