"""Installs the SDKs of other languages and compiles their drivers, each in a cache folder."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

DRIVERS = Path(__file__).with_name("drivers")
STEP_TIMEOUT_S = 300


def _required(module_file: Path) -> str:
    """Return the version of the only module that a go.mod requires."""
    return module_file.read_text().split(" v")[-1].strip()


GO_VERSION = _required(DRIVERS / "go_sdk" / "go.mod")
GO_COMMON_VERSION = _required(DRIVERS / "go_common" / "go.mod")


class BrokenDriverError(Exception):
    """The driver is wrong, rather than the toolchain or the registry."""


def prepare_node(cache: Path, version: str) -> list[str]:
    """Return the command that runs the driver of ``tencentcloud-sdk-nodejs``."""
    flags = ["--no-audit", "--no-fund", "--ignore-scripts"]
    install = ["npm", "install", *flags, f"tencentcloud-sdk-nodejs@{version}"]
    folder = prepare(cache / f"node-{version}", [DRIVERS / "node_sdk.js"], [install])
    return ["node", str(folder / "node_sdk.js")]


def prepare_go(cache: Path) -> list[str]:
    """Return the command that runs the driver of ``tencentcloud-sdk-go``, the newest complete one on the Go proxy."""
    return _prepare_go(cache, "go_sdk")


def prepare_go_common(cache: Path) -> list[str]:
    """Return the command that runs the driver of the module ``tencentcloud/common`` of the current Go SDK."""
    return _prepare_go(cache, "go_common")


def prepare_java(cache: Path, artifact: str, version: str) -> list[str]:
    """Return the command that runs the driver with ``artifact``, which contains all products or only ``iai``."""
    goal = ["dependency:copy-dependencies", "-DoutputDirectory=lib"]
    fetch = ["mvn", "--quiet", "--batch-mode", f"-Dsdk.artifact={artifact}", f"-Dsdk.version={version}", *goal]
    compile_ = ["javac", "-encoding", "UTF-8", "-cp", "lib/*", "-d", "classes", "Driver.java"]
    folder = prepare(cache / f"java-{version}", sorted((DRIVERS / "java_sdk").iterdir()), [fetch, compile_])
    return ["java", "-cp", os.pathsep.join([str(folder / "classes"), str(folder / "lib" / "*")]), "Driver"]


def _prepare_go(cache: Path, name: str) -> list[str]:
    sources = [DRIVERS / "go_shared" / "driver.go", *sorted((DRIVERS / name).iterdir())]
    build = ["go", "build", "-buildvcs=false", "-o", "driver", "."]
    folder = prepare(cache / name, sources, [["go", "mod", "download"], build])
    return [str(folder / "driver")]


def prepare(folder: Path, sources: Sequence[Path], steps: Sequence[Sequence[str]]) -> Path:
    """Copy the sources to the folder and run the steps there, unless a stamp shows that this was done already."""
    inputs = [repr(steps).encode(), *(source.read_bytes() for source in sources)]
    digest = hashlib.sha256(b"\0".join(inputs)).hexdigest()
    stamp = folder / "stamp"
    if not stamp.is_file() or stamp.read_text() != digest:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for source in sources:
            shutil.copy(source, folder)
        for step in steps:
            _run_step(step, folder)
        stamp.write_text(digest)
    return folder


def _run_step(step: Sequence[str], folder: Path) -> None:
    """Run one command; raise an error with the reason in one sentence if it fails."""
    try:
        subprocess.run(step, cwd=folder, timeout=STEP_TIMEOUT_S, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise RuntimeError(f"{step[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{step[0]} took more than {STEP_TIMEOUT_S} s") from None
    except subprocess.CalledProcessError as error:
        output = (error.stdout + error.stderr).splitlines()
        reason = next((line for line in output if "error" in line.lower()), " ".join(output))[:300]
        if step[0] == "javac" or step[:2] == ["go", "build"]:
            raise BrokenDriverError(f"the driver does not compile: {reason}") from None
        raise RuntimeError(f"{step[0]} failed: {reason}") from None
