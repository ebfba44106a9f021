"""Every panel and alert of ``deploy`` on a real Prometheus that scrapes a service under load.

The service gets more requests than it can process, images by URL among them; decoder processes are killed and stopped.
It runs the CPU as a GPU (``cpu_as_gpu``), so that batches form. An expression without a value is an error. Needs the
program ``prometheus`` (a Debian package).
"""

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from math import isnan
from pathlib import Path
from urllib.parse import quote

from app.tools.bench.load import Target, http_request, run_open_loop
from tests.support.images import astronaut, jpeg
from tests.support.monitoring import ALERTS, PrometheusClient, Query, alerts, panels
from tests.support.processes import process_tree
from tests.support.server import HOST, Server, free_port, open_without_proxy, running_server

_LOAD_S, _QUERY_AFTER_S = 60.0, 45.0
_PER_SECOND = 30
_KILLED = 5
_SETTINGS = {
    "COMPAREFACE_METRICS__ENABLED": "true",
    "COMPAREFACE_RUNTIME__DEVICE": "cuda",
    "COMPAREFACE_FETCH__ALLOW": HOST,
    "COMPAREFACE_LIMITS__DEADLINE_S": "8",  # a stopped decoder soon causes RequestTimeout
    "COMPAREFACE_LIMITS__MAX_WAIT_S": "2",
}


def main() -> int:
    if not shutil.which("prometheus"):
        print("dashboard: skipped, the program `prometheus` is not installed")
        return 0
    with (
        tempfile.TemporaryDirectory() as name,
        running_server(_SETTINGS, program="-m tests.support.cpu_as_gpu") as server,
    ):
        folder = Path(name)
        with _image_url(folder / "images") as url, _prometheus(folder, server) as prometheus:
            load = threading.Thread(target=_load, args=(_target(server, url),))
            load.start()
            _disturb_decoders(server)
            missing = [_print_value(prometheus, query) for query in (*panels(), *alerts())].count(False)
            for group in prometheus("/api/v1/rules")["groups"]:
                for rule in group["rules"]:
                    print(f"rule {rule['name']}: {rule['state']}, evaluation {rule['health']}")
                    missing += rule["health"] != "ok"
            load.join()
    print(f"{missing} without a value" if missing else "all have a value")
    return bool(missing)


def _load(target: Target) -> None:
    print("replies:", asyncio.run(run_open_loop(target, _PER_SECOND, _LOAD_S)).codes)


def _disturb_decoders(server: Server) -> None:
    """Kill more decoder processes than an alert accepts, and stop one for longer than a deadline."""
    until = time.monotonic() + _QUERY_AFTER_S
    time.sleep(3)
    for _ in range(_KILLED):
        victim = _decoders(server)[0]
        os.kill(victim, signal.SIGKILL)
        while victim in _decoders(server) and time.monotonic() < until:  # replaced with the next image
            time.sleep(0.1)
        time.sleep(1)
    stopped = _decoders(server)[0]
    os.kill(stopped, signal.SIGSTOP)
    time.sleep(10)
    os.kill(stopped, signal.SIGCONT)
    time.sleep(max(0.0, until - time.monotonic()))


def _decoders(server: Server) -> list[int]:
    _, *children = process_tree(server.process.pid)
    return children


def _print_value(prometheus: PrometheusClient, query: Query) -> bool:
    """Print the value of a query; return whether it has one."""
    series = prometheus(f"/api/v1/query?query={quote(query.expression)}")["result"]
    values = {", ".join(sample["metric"].values()): float(sample["value"][1]) for sample in series}
    shown = [f"{name or 'value'} {value:.4g}" for name, value in values.items() if not isnan(value)]
    print(f"{query.name}: {'; '.join(shown) or 'NO VALUE'}", flush=True)
    return bool(shown)


@contextmanager
def _prometheus(folder: Path, server: Server) -> Iterator[PrometheusClient]:
    port = free_port()
    job = {"job_name": "compareface", "scrape_interval": "1s", "static_configs": [{"targets": [server.endpoint]}]}
    config = {"global": {"evaluation_interval": "2s"}, "rule_files": [str(ALERTS)], "scrape_configs": [job]}
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    process = subprocess.Popen(
        [*command, f"--web.listen-address={HOST}:{port}", "--log.level=warn"], stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(100):
            try:
                open_without_proxy(f"http://{HOST}:{port}/-/ready", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield PrometheusClient(port)
    finally:
        process.terminate()
        process.wait(timeout=20)


@contextmanager
def _image_url(folder: Path) -> Iterator[str]:
    """Serve an image; yield its URL."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Keep the output to the panels."""

    folder.mkdir()
    (folder / "a.jpg").write_bytes(jpeg(astronaut()))
    with ThreadingHTTPServer((HOST, 0), partial(Quiet, directory=str(folder))) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield f"http://{HOST}:{web.server_port}/a.jpg"
        web.shutdown()


def _target(server: Server, url: str) -> Target:
    """Return requests of every kind: inline and by URL, with quality, both actions, and an invalid one."""
    inline = base64.b64encode(jpeg(astronaut())).decode()
    bodies: list[tuple[str, dict[str, object]]] = [
        ("CompareFace", {"ImageA": inline, "ImageB": inline}),
        ("CompareFace", {"ImageA": inline, "ImageB": inline, "QualityControl": 1}),
        ("CompareFace", {"UrlA": url, "UrlB": url}),
        ("DetectFace", {"Image": inline, "NeedQualityDetection": 1}),
        ("CompareFace", {"ImageA": "AAAA", "ImageB": inline}),
    ]
    return Target(HOST, server.port, [_request(server, action, json.dumps(body).encode()) for action, body in bodies])


def _request(server: Server, action: str, body: bytes) -> bytes:
    return http_request(server.endpoint, server.headers(action, body), body)


if __name__ == "__main__":
    sys.exit(main())
