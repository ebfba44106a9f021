"""The image, built and run without a container engine: by buildah, through the scripts of ``../shared/tools``.

In: this checkout. Out: an image, containers of it, their root file systems as folders. Needs root and a package index.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT.parent / "shared/tools"
TAG = "compareface:image-test"
USER = "10001:10001"

_BASE = "docker.io/library/python:3.11-slim-bookworm"
_TIMEOUT_S = 60.0

_READ_ONLY = """
mount --bind "$ROOT" "$ROOT" && mount -o remount,bind,ro "$ROOT" && mount -t proc proc "$ROOT/proc" || exit 99
mount --rbind /dev "$ROOT/dev" && mount -t tmpfs tmpfs "$ROOT/tmp" && cp "$IMAGES"/* "$ROOT/tmp" || exit 98
ip link set lo up || exit 97
inside="chroot --userspec=$USER --groups= $ROOT env -i $SETTINGS"
$inside compareface serve & service=$!
for second in $(seq 60); do $inside python -I /opt/compareface/ready.py 2>/dev/null && break; sleep 1; done
$inside python -I /opt/compareface/ready.py || exit 96
$inside compareface compare /tmp/a.jpg /tmp/b.jpg || exit 95
$inside touch /var/lib/compareface/written 2>/dev/null && exit 94
kill -TERM $service; wait $service
"""
"""Start, call and stop the service with a read-only root except ``/tmp``, and no network except loopback."""


class Run(NamedTuple):
    """The result of a command in a container."""

    code: int
    output: str
    errors: str


class Container:
    """A container, not yet started; :attr:`root` is its root file system."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.root = Path(_buildah("mount", name).strip())
        self.config: Mapping[str, Any] = json.loads(_buildah("inspect", name))["Docker"]["config"]

    @property
    def command(self) -> Sequence[str]:
        """The command of the image."""
        return [*self.config["Entrypoint"], *self.config["Cmd"]]

    def argv(self, command: Sequence[str], settings: Mapping[str, str]) -> list[str]:
        environment_options = [f"--env={name}={value}" for name, value in settings.items()]
        return [str(TOOLS / "buildah.sh"), "run", *environment_options, self._name, "--", *command]

    def run(self, command: Sequence[str], settings: Mapping[str, str] | None = None) -> Run:
        """Run a command as the image's user until it ends."""
        done = subprocess.run(
            self.argv(command, settings or {}), capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def run_read_only(self, images: Path, key: str) -> Run:
        """Start the service with a read-only root, ``/tmp`` and loopback only; compare ``a.jpg`` with ``b.jpg``."""
        settings = " ".join([*self.config["Env"], f"COMPAREFACE_AUTH__KEYS={key}"])
        environment = {"ROOT": str(self.root), "IMAGES": str(images), "USER": USER, "SETTINGS": settings}
        done = subprocess.run(
            ["unshare", "--mount", "--net", "sh", "-c", _READ_ONLY],
            check=False,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=2 * _TIMEOUT_S,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def serving(self, settings: Mapping[str, str], log: Path) -> Iterator["Service"]:
        """Start the image's own command and wait until its health check passes."""
        with log.open("wb") as errors:
            process = subprocess.Popen(self.argv(self.command, settings), stdout=errors, stderr=errors)
        service = Service(process, f"COMPAREFACE_AUTH__KEYS={settings['COMPAREFACE_AUTH__KEYS']}".encode())
        try:
            until = time.monotonic() + _TIMEOUT_S
            while (last := self.run(self.config["Healthcheck"]["Test"][1:], settings)).code:
                if process.poll() is not None or time.monotonic() > until:
                    raise AssertionError(f"the service does not start: {last.errors}\n{log.read_text()}")
            yield service
        finally:
            service.end()


class Service:
    """The service in a container; its process is the Python process with the key in its environment."""

    def __init__(self, process: subprocess.Popen[bytes], key: bytes) -> None:
        self._process = process
        self._key = key

    def first_process(self) -> Path:
        """Return the folder in ``/proc`` of the process that is number 1 in the container."""
        (folder,) = (path for path in Path("/proc").glob("[0-9]*") if self._is_first_process(path))
        return folder

    def end(self) -> int:
        """Send SIGTERM to process 1; return the exit code of the container."""
        if self._process.poll() is None:
            os.kill(int(self.first_process().name), signal.SIGTERM)
        return self._process.wait(_TIMEOUT_S)

    def _is_first_process(self, path: Path) -> bool:
        try:
            words, environment_options = ((path / name).read_bytes().split(b"\0") for name in ("cmdline", "environ"))
        except OSError:
            return False
        return self._key in environment_options and words[-2:-1] == [b"serve"] and b"buildah" not in words[0]


def missing() -> str | None:
    """Return why the image cannot be built on this machine, or None."""
    if not (TOOLS / "buildah.sh").exists():
        return "../shared/tools is absent"
    if os.geteuid() != 0:
        return "only root can build and mount an image here"
    missing_tools = [tool for tool in ("debootstrap", "buildah", "unshare", "ip") if shutil.which(tool) is None]
    return f"not installed: {', '.join(missing_tools)}" if missing_tools else None


@contextmanager
def container(build_arguments: Mapping[str, str]) -> Iterator[Container]:
    """Build the image of this checkout and make a container of it, on the stand-in for its base if need be."""
    tag = f"{TAG}-{build_arguments['PACK']}"
    done = build(build_arguments, tag)
    assert done.returncode == 0, done.stderr
    name = _buildah("from", "--pull-never", tag).strip()
    try:
        yield Container(name)
    finally:
        _buildah("rm", name)


def build(build_arguments: Mapping[str, str], tag: str) -> subprocess.CompletedProcess[str]:
    """Build the image of this checkout."""
    if _BASE not in _buildah("images", "--format", "{{.Name}}:{{.Tag}}").split():
        subprocess.run([TOOLS / "build-base-image.sh", _BASE], check=True)
    # The format of Docker, because OCI's has no health check.
    options = ["--pull-never", "--layers", "--format", "docker", "--target", "cpu", "-t", tag]
    arguments = [f"--build-arg={name}={value}" for name, value in build_arguments.items()]
    command = [str(TOOLS / "buildah.sh"), "bud", *options, *arguments, str(ROOT)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _buildah(*arguments: str) -> str:
    return subprocess.run([TOOLS / "buildah.sh", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout
