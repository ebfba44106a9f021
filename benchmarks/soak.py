"""A real server at saturation under a hostile load: ``python -m benchmarks.soak MINUTES``.

Client threads send valid pairs, broken images, wrong signatures, slow requests and bytes that are not HTTP; some
disconnect before the reply. One client measures the latency of a valid pair. Memory, open files, threads and latency
are sampled every second and written to ``soak.json`` and ``soak.svg``. The exit code is 0 if memory grows by at most
5 % after the first minute, threads and files do not grow, every reply is expected, at least half of the valid pairs are
compared, and the log contains no traceback.
"""

import base64
import json
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.support.images import another_shot, astronaut, jpeg
from tests.support.processes import process_status, process_tree
from tests.support.server import Server, running_server

_WARM_S = 60.0
_GROWTH = 1.05
_SPARE = 8
"""Open files and threads that may come and go."""
_MIN_SHARE = 0.5
"""Share of valid pairs that must be compared; rejected clients retry at once, so they count more often."""
_ALLOWED = {"OK", "RequestLimitExceeded", "FailedOperation.ImageDecodeFailed", "AuthFailure.SignatureFailure"}


class Sample(NamedTuple):
    """The server and its decoder processes at one moment; shared memory counts for each."""

    at_s: float
    rss_mb: float
    files: int
    threads: int
    latency_ms: float | None
    """Latency of the latest compared pair; None before the first."""


def main() -> int:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 1
    with TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with running_server(log=log) as server:
            load = _Load(server)
            samples = load.run(60 * minutes)
            peak_mb = sum(process_status(pid)["VmHWM"] for pid in process_tree(server.process.pid)) / 1024
        defects = [line for line in log.read_text(encoding="utf-8").splitlines() if '"exception"' in line]
    failures = [*_failures(samples, load.replies), *(f"traceback: {line}" for line in defects[:3])]
    report = {
        "minutes": minutes,
        "replies": dict(load.replies),
        "peak_rss_mb": round(peak_mb, 1),
        "failures": failures,
        "samples": [sample._asdict() for sample in samples],
    }
    Path("soak.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    Path("soak.svg").write_text(_svg(samples), encoding="utf-8")
    print(f"{minutes:g} minutes: {sum(load.replies.values()):,} requests {dict(load.replies.most_common())}")
    for name in ("rss_mb", "files", "threads", "latency_ms"):
        warm, last = _warm_and_last([getattr(sample, name) for sample in samples], samples)
        print(f"{name:<12} after the first minute {warm:9.1f}   at the end {last:9.1f}")
    print(
        f"peak RSS {peak_mb:.0f} MB; soak.json, soak.svg; {'FAILED: ' + '; '.join(failures) if failures else 'passed'}"
    )
    return 1 if failures else 0


class _Load:
    """The clients, and the replies they received."""

    def __init__(self, server: Server) -> None:
        self._server = server
        faces = [base64.b64encode(jpeg(image)).decode() for image in (astronaut(), another_shot(astronaut()))]
        self._pair = json.dumps({"ImageA": faces[0], "ImageB": faces[1]}).encode()
        self._broken = json.dumps({"ImageA": faces[0][:-4000], "ImageB": faces[1]}).encode()
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._latency_ms: float | None = None
        self.replies: Counter[str] = Counter()

    def run(self, seconds: float) -> list[Sample]:
        kinds: Sequence[Callable[[], None]] = (
            self._valid,
            self._valid,
            self._measured_latency,
            self._broken_image,
            self._wrong_signature,
        )
        kinds = (*kinds, self._slow, self._slow, self._disconnect, self._disconnect, self._no_http)
        clients = [threading.Thread(target=self._repeat, args=(kind,)) for kind in kinds]
        for client in clients:
            client.start()
        started = time.monotonic()
        samples = []
        try:
            while time.monotonic() - started < seconds:
                time.sleep(1)
                samples.append(self._sample(time.monotonic() - started))
        finally:
            self._is_over.set()
            for client in clients:
                client.join()
        return samples

    def _sample(self, at_s: float) -> Sample:
        pids = list(process_tree(self._server.process.pid))
        files = sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)
        rss, threads = (sum(process_status(pid).get(field, 0) for pid in pids) for field in ("VmRSS", "Threads"))
        return Sample(round(at_s, 1), rss / 1024, files, threads, self._latency_ms)

    def _repeat(self, kind: Callable[[], None]) -> None:
        while not self._is_over.is_set():
            try:
                kind()
            except (OSError, HTTPException) as error:
                self._count(type(error).__name__)

    def _count(self, reply: str) -> None:
        with self._lock:
            self.replies[reply] += 1

    def _valid(self) -> None:
        self._count(self._send(self._server, self._pair))

    def _measured_latency(self) -> None:
        started = time.monotonic()
        code = self._send(self._server, self._pair)
        self._count(code)
        if code == "OK":
            self._latency_ms = 1000 * (time.monotonic() - started)
        time.sleep(0.2)

    def _broken_image(self) -> None:
        self._count(self._send(self._server, self._broken))

    def _wrong_signature(self) -> None:
        self._count(self._send(self._server._replace(secret_key="wrong"), self._pair))

    @staticmethod
    def _send(server: Server, body: bytes) -> str:
        with closing(HTTPConnection(server.host, server.port, timeout=60)) as connection:
            return server.compare(connection, body)

    def _slow(self) -> None:
        """Send a head and a body slowly, and never finish."""
        with self._connected() as connection:
            data = self._request()
            for at in range(6):
                connection.sendall(data[at * 300 : (at + 1) * 300])
                time.sleep(0.3)
        self._count("sent slowly")

    def _disconnect(self) -> None:
        """Send a whole request and disconnect before the reply."""
        with self._connected() as connection:
            connection.sendall(self._request())
            time.sleep(0.02)
        self._count("disconnected")

    def _no_http(self) -> None:
        with self._connected() as connection:
            connection.sendall(b"\x16\x03\x01" + b"\xff" * 2000 + b"\r\n\r\n")
            connection.recv(1000)
        self._count("no HTTP")
        time.sleep(0.1)

    def _connected(self) -> socket.socket:
        return socket.create_connection((self._server.host, self._server.port), timeout=60)

    def _request(self) -> bytes:
        headers = self._server.headers("CompareFace", self._pair)
        headers |= {"Host": self._server.endpoint, "Content-Length": str(len(self._pair))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST / HTTP/1.1\r\n{lines}\r\n".encode() + self._pair


def _warm_and_last(values: Sequence[float | None], samples: Sequence[Sample]) -> tuple[float, float]:
    """Return medians of ten seconds: after the first minute, and at the end."""
    from_s = min(_WARM_S, samples[-1].at_s / 2)
    first = next(index for index, sample in enumerate(samples) if sample.at_s >= from_s)
    warm, last = (
        [value for value in window if value is not None] for window in (values[first : first + 10], values[-10:])
    )
    return median(warm or [0.0]), median(last or [0.0])


def _failures(samples: Sequence[Sample], replies: Counter[str]) -> list[str]:
    failures = []
    for name, factor, spare in (("rss_mb", _GROWTH, 0), ("threads", 1.0, _SPARE)):
        warm, last = _warm_and_last([getattr(sample, name) for sample in samples], samples)
        if last > warm * factor + spare:
            failures.append(f"{name} grew from {warm:.1f} to {last:.1f}")
    files = [sample.files for sample in samples]
    third = len(files) // 3
    # Connections come and go by the hundred; a leak remains at the quietest moment.
    if min(files[-third:], default=0) > min(files[:third], default=0) + _SPARE:
        failures.append(f"files at the quietest moment grew from {min(files[:third])} to {min(files[-third:])}")
    unexpected = {reply for reply in replies if reply[0].isupper()} - _ALLOWED
    failures += [f"{replies[reply]} times {reply}" for reply in sorted(unexpected)]
    if replies["OK"] < _MIN_SHARE * (replies["OK"] + replies["RequestLimitExceeded"]):
        failures.append("too few valid pairs were compared")
    return failures


_WIDTH, _HEIGHT, _LEFT = 900, 130, 110


def _svg(samples: Sequence[Sample]) -> str:
    """Return four charts over time as one SVG."""
    charts = []
    for number, name in enumerate(("rss_mb", "files", "threads", "latency_ms")):
        points = [(sample.at_s, value) for sample in samples if (value := getattr(sample, name)) is not None]
        top = max((value for _, value in points), default=1.0) or 1.0
        x, y = (_WIDTH - _LEFT - 10) / samples[-1].at_s, (_HEIGHT - 30) / top
        line = " ".join(f"{_LEFT + x * at:.1f},{_HEIGHT - 10 - y * value:.1f}" for at, value in points)
        charts.append(
            f'<g transform="translate(0 {number * _HEIGHT})"><text x="5" y="30">{name}</text>'
            f'<text x="5" y="50">0 to {top:.0f}</text>'
            f'<path d="M{_LEFT} 10V{_HEIGHT - 10}H{_WIDTH - 10}" stroke="#999"/>'
            f'<polyline points="{line}" stroke="#06c"/></g>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {4 * _HEIGHT}" fill="none" '
        f'font-family="sans-serif" font-size="14"><style>text {{ fill: #333 }}</style>{"".join(charts)}</svg>\n'
    )


if __name__ == "__main__":
    sys.exit(main())
