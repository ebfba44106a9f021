"""The services that are measured side by side, and their images."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from app.environment import load_settings
from app.packs.store import Store
from app.tools.bench.load import Target, compare_bodies, http_request
from benchmarks import SHARED
from tests.support import standin
from tests.support.processes import process_status, process_tree
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
        requests = [http_request(host, self._headers(body), body) for body in compare_bodies(images)]
        return Target(HOST, self.port, requests)

    def _headers(self, body: bytes) -> dict[str, str]:
        if self.server is None:
            return {"Content-Type": "application/json"}
        return self.server.headers("CompareFace", body)

    @property
    def peak_mib(self) -> float:
        """Peak memory in MiB, summed over its processes; shared memory counts for each."""
        return sum(process_status(pid)["VmHWM"] for pid in process_tree(self.pid)) / 1024

    @property
    def resident_mib(self) -> float:
        return sum(process_status(pid)["VmRSS"] for pid in process_tree(self.pid)) / 1024


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
