"""The services that are measured side by side, and their images."""

import base64
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from app.api.auth.keys import Key
from app.environment import load_settings
from app.packs.store import Store
from app.tools.bench.load import Target, http_request
from app.tools.signing import signed_headers
from benchmarks import SHARED
from tests.support import standin
from tests.support.server import HOST, Server, free_port, running, running_server

BASELINE, STANDIN = "baseline", "standin"


class MeasuredService(NamedTuple):
    """A running service; ``server`` is None for the baseline, which needs no signature."""

    port: int
    pid: int
    server: Server | None

    def target(self, images: Sequence[bytes]) -> Target:
        """Return requests that compare each image with the next; signatures are valid for five minutes."""
        host = f"{HOST}:{self.port}"
        texts = [base64.b64encode(image).decode() for image in images]
        bodies = [
            json.dumps({"ImageA": a, "ImageB": b}).encode() for a, b in zip(texts, [*texts[1:], texts[0]], strict=True)
        ]
        return Target(HOST, self.port, [http_request(host, self._headers(host, body), body) for body in bodies])

    def _headers(self, host: str, body: bytes) -> dict[str, str]:
        if self.server is None:
            return {"Content-Type": "application/json"}
        key = Key(label="benchmark", secret_key=self.server.secret_key)
        signed = signed_headers(self.server.secret_id, key, host, body, int(time.time()))
        return {**signed, "X-TC-Action": "CompareFace", "X-TC-Version": "2020-03-03"}

    @property
    def peak_mib(self) -> float:
        """Peak memory in MiB, summed over its processes; shared memory counts for each."""
        return sum(_status(pid, "VmHWM") for pid in process_tree(self.pid))

    @property
    def resident_mib(self) -> float:
        return sum(_status(pid, "VmRSS") for pid in process_tree(self.pid))


def process_tree(pid: int) -> Iterator[int]:
    """Yield a process and its running descendants."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from process_tree(int(child))


def _status(pid: int, field: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


@contextmanager
def running_services(names: Sequence[str]) -> Iterator[dict[str, MeasuredService]]:
    """Start the named services: the baseline, the stand-in pack with the same weights, packs."""
    with TemporaryDirectory() as folder, ExitStack() as stack:
        yield {name: stack.enter_context(_running(name, Path(folder))) for name in names}


@contextmanager
def _running(name: str, folder: Path) -> Iterator[MeasuredService]:
    if name == BASELINE:
        port, root = free_port(), standin.insightface_root(SHARED, folder / "insightface")
        program = f"-m uvicorn benchmarks.baseline.service:app --port {port} --log-level warning"
        with running(program, {"INSIGHTFACE_ROOT": str(root)}, f"http://{HOST}:{port}/docs") as process:
            yield MeasuredService(port, process.pid, None)
        return
    program, settings = "-m app", {"COMPAREFACE_MODELS__PACK": name}
    if name == STANDIN:
        program = f"-m tests.support.standin {standin.installed(SHARED, folder / 'catalogue')}"
    with running_server(settings, program=program) as server:
        yield MeasuredService(server.port, server.process.pid, server)


def service_names() -> list[str]:
    """Return the names of the services that can run here, the baseline first."""
    store = Store.from_settings(load_settings().models)
    installed = [name for name in ("open", "omz") if store.is_installed(store.pack(name))]
    return [BASELINE, STANDIN, *installed]


def image_sets() -> Mapping[str, Sequence[bytes]]:
    """Return 60 images of as many people of LFW, and the 28 photos of London (1350 x 1350)."""
    lfw = sorted((SHARED / "data/lfw").glob("*/*_0001.jpg"))[::40][:60]
    london = sorted((SHARED / "data/london").glob("*/*.jpg"))
    return {"LFW, 250 px": [p.read_bytes() for p in lfw], "London, 1350 px": [p.read_bytes() for p in london]}
