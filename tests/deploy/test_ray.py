"""Ray Serve and ``compareface batch --ray`` on a real cluster of two nodes, by ``make ray-test`` only."""

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(os.environ.get("RAY_CLUSTER") != "two", reason="takes minutes: `make ray-test`"),
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra `ray` is not installed"),
]


def test_requests_spread_and_survive_a_killed_node() -> None:
    """Run in its own process, because of Ray's threads and warnings."""
    command = [sys.executable, "-m", "tests.deploy.ray_cluster"]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], process_group=0) as process:
        try:
            assert process.wait(timeout=900) == 0
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
