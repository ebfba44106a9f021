"""A Ray cluster of a head and two nodes on loopback, served by the real SDK: run by ``make ray-test``."""

# ruff: noqa: T201 - its numbers are its output

import base64
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import ray
import yaml
from ray import serve
from ray.cluster_utils import Cluster
from ray.serve.schema import ServeDeploySchema
from ray.util.state import list_actors
from tencentcloud.common import credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.iai.v20200303 import iai_client, models

from deploy.ray.app import CompareFace
from tests.support.images import astronaut, jpeg
from tests.support.processes import cpu_seconds
from tests.support.server import free_port, open_without_proxy

_CONFIG = Path(__file__).parents[2] / "deploy/ray/serve.yaml"
_KEYS = ("AKIDray", "a-key-of-the-test")
_STORE = 2**27
"""Bytes of the object store of each node."""
_CALLERS = 6
_BATCH = 60
"""Answers to wait for."""
_TRIES = 8


def client_of(port: int, method: str = "TC3-HMAC-SHA256", verb: str = "POST") -> Any:
    """Return the official SDK's client; only the endpoint is set."""
    http = HttpProfile(protocol="http", endpoint=f"127.0.0.1:{port}", reqMethod=verb, reqTimeout=60)
    profile = ClientProfile(signMethod=method, httpProfile=http)
    return iai_client.IaiClient(credential.Credential(*_KEYS), "", profile)


class Callers:
    """Clients that send requests without pause and retry failed ones; every outcome is counted."""

    def __init__(self, port: int) -> None:
        self.answers: Counter[float] = Counter()
        self.errors: Counter[str] = Counter()
        self.failed = 0
        self._port = port
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._call, daemon=True) for _ in range(_CALLERS)]
        for thread in self._threads:
            thread.start()

    def wait_for(self, answers: int, timeout_s: float = 240) -> None:
        until = time.monotonic() + timeout_s
        while self.answers.total() < answers:
            assert time.monotonic() < until, f"only {self.answers.total()} answers: {self.errors}"
            time.sleep(0.1)

    def end(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        client = client_of(self._port)
        request = models.CompareFaceRequest()
        request.ImageA = request.ImageB = base64.b64encode(jpeg(astronaut())).decode()
        while not self._is_over.is_set():
            self._send(client, request)

    def _send(self, client: Any, request: Any) -> None:
        for attempt in range(_TRIES):
            try:
                score = client.CompareFace(request).Score
            except TencentCloudSDKException as error:
                with self._lock:
                    self.errors[f"{error.code} {str(error.message)[:60]}"] += 1
                time.sleep(0.2 * 2**attempt)
                continue
            with self._lock:
                self.answers[score] += 1
            return
        with self._lock:
            self.failed += 1


class Replica(NamedTuple):
    """A running replica: its node and its process."""

    node: str
    pid: int

    def cpu_s(self) -> float:
        """Return the CPU seconds used; a replica that answers requests uses CPU."""
        return cpu_seconds(self.pid)


def replicas() -> list[Replica]:
    actors = list_actors(filters=[("state", "=", "ALIVE")], detail=True)
    return [Replica(actor.node_id, actor.pid) for actor in actors if "CompareFace" in (actor.name or "")]


def is_on_two_nodes() -> bool:
    return len({replica.node for replica in replicas()}) == len(replicas()) == 2


def wait_until(condition: Callable[[], bool], message: str, timeout_s: float = 240) -> None:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout_s, message
        time.sleep(0.5)


def main() -> int:
    os.environ |= {
        "COMPAREFACE_AUTH__KEYS": ":".join(_KEYS),
        "COMPAREFACE_MODELS__PACK": "open",
        "COMPAREFACE_LOG__LEVEL": "warning",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    port = free_port()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": _STORE})
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=_STORE) for _ in range(2)]
    ray.init(address=cluster.address, log_to_driver=False)
    try:
        serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": port})
        serve.run(CompareFace.options(**options()).bind(), name="compareface", route_prefix="/")
        check_version(port)
        check_signatures(port)
        load(cluster, nodes[1], port)
        serve.delete("compareface")
        batch(cluster.address)
    finally:
        serve.shutdown()
        ray.shutdown()
        cluster.shutdown()
    return 0


def options() -> dict[str, Any]:
    """Return the options of ``deploy/ray/serve.yaml``, with small nodes and short delays."""
    config = yaml.safe_load(_CONFIG.read_text(encoding="utf-8"))
    ServeDeploySchema.model_validate(config)
    (deployment,) = config["applications"][0]["deployments"]
    assert deployment.pop("name") == "CompareFace"
    scaling = {"min_replicas": 1, "max_replicas": 2, "target_ongoing_requests": 2}
    delays = {"upscale_delay_s": 2, "downscale_delay_s": 5, "look_back_period_s": 4, "metrics_interval_s": 1}
    assert deployment["autoscaling_config"].keys() <= {**scaling, **delays}.keys()
    return {**deployment, "ray_actor_options": {"num_cpus": 1}, "autoscaling_config": {**scaling, **delays}}


def check_version(port: int) -> None:
    with open_without_proxy(f"http://127.0.0.1:{port}/version") as reply:
        engine = json.loads(reply.read())["engine"]
    threads, threads_per_run = engine["worker_threads"], engine["threads_per_model_run"]
    print(f"num_cpus 1 is {threads} worker threads with {threads_per_run} thread in a model run")
    assert (threads, threads_per_run) == (2, 1)


def check_signatures(port: int) -> None:
    """Ray's proxy passes body, path and query as signed: only the private address is refused."""
    request = models.CompareFaceRequest()
    request.UrlA = request.UrlB = "http://127.0.0.1/a%20b/%E4%BA%BA?x=1&y=%2F+%25"
    for method in ("TC3-HMAC-SHA256", "HmacSHA256", "HmacSHA1"):
        for verb in ("POST", "GET"):
            with pytest.raises(TencentCloudSDKException) as refused:
                client_of(port, method, verb).CompareFace(request)
            assert refused.value.code == "FailedOperation.ImageDownloadError", (method, verb)
    print("signatures: 3 methods, GET and POST, as signed")


def load(cluster: Cluster, node: Any, port: int) -> None:
    """Scale up under load, kill and replace a node, scale down when idle."""
    assert len(replicas()) == 1
    callers = Callers(port)
    wait_until(is_on_two_nodes, "no second replica under load")
    print(f"under load: 1 -> 2 replicas on 2 nodes, after {callers.answers.total()} answers")
    before = {replica: replica.cpu_s() for replica in replicas()}
    callers.wait_for(callers.answers.total() + _BATCH)
    spread = [round(replica.cpu_s() - used, 1) for replica, used in before.items()]
    print(f"spread: {_BATCH} answers later the replicas have used {spread} s of CPU more")
    assert min(spread) > max(spread) / 10
    at_kill, errors = callers.answers.total(), callers.errors.total()
    cluster.remove_node(node, allow_graceful=False)
    print(f"killed a node after {at_kill} answers and {errors} failed tries")
    callers.wait_for(at_kill + _BATCH)
    cluster.add_node(num_cpus=1, object_store_memory=_STORE)
    wait_until(is_on_two_nodes, "no replica on the new node")
    callers.wait_for(callers.answers.total() + _BATCH)
    callers.end()
    print(f"requests answered, by score: {dict(callers.answers)}; failed: {callers.failed}")
    print(f"failed tries, all tried again: {dict(callers.errors)}")
    assert callers.failed == 0
    assert set(callers.answers) == {100.0}
    assert callers.errors.total() <= 4 * _CALLERS
    wait_until(lambda: len(replicas()) == 1, "not scaled down when idle")
    print("idle: 2 -> 1 replicas")


def batch(address: str) -> None:
    """Score a table on the cluster and locally; both results are identical."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for index in range(20):
            (folder / f"{index}.jpg").write_bytes(jpeg(astronaut()[:300, index : index + 300]))
        (folder / "bad.jpg").write_bytes(b"no image")
        rows = [f"{index}.jpg,{(index + 1) % 20}.jpg" for index in range(20)] + ["0.jpg,bad.jpg"]
        (folder / "pairs.csv").write_text("a,b\n" + "\n".join(rows) + "\n")
        command = [sys.executable, "-m", "app", "batch", str(folder / "pairs.csv"), "--out"]
        subprocess.run([*command, str(folder / "remote.csv"), "--ray", address], check=True)
        subprocess.run([*command, str(folder / "local.csv")], check=True)
        assert (folder / "remote.csv").read_bytes() == (folder / "local.csv").read_bytes()
    print("batch --ray: 21 pairs, the same bytes as without")


if __name__ == "__main__":
    sys.exit(main())
