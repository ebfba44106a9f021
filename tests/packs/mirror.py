"""A download mirror on loopback with configurable faults, and a small pack that can be pulled from it."""

import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from app.packs.files import sha256
from app.packs.pull import Origin
from app.packs.store import Store


@dataclass
class Mirror:
    """Its files, its faults, and the requests it received."""

    files: dict[str, bytes]
    url: str = ""
    body_limits: list[int] = field(default_factory=list)
    """For each of the next responses: number of bytes after which the connection is closed."""
    statuses: list[int] = field(default_factory=list)
    """Error statuses of the next responses."""
    ignores_ranges: bool = False
    content_range: str = ""
    """Content-Range of partial responses, instead of the correct one."""
    redirect: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Path and Range of each request."""


@contextmanager
def serve(files: Mapping[str, bytes]) -> Iterator[Mirror]:
    """Run a mirror with these files."""
    mirror = Mirror(dict(files))
    handler = type("Handler", (_Handler,), {"mirror": mirror})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        mirror.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield mirror
        server.shutdown()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    mirror: Mirror

    def do_GET(self) -> None:
        mirror, byte_range = self.mirror, self.headers.get("Range", "")
        mirror.requests.append((self.path, byte_range))
        content = mirror.files.get(self.path.partition("?")[0].lstrip("/"))
        if mirror.statuses:
            self._respond(mirror.statuses.pop(0), b"")
        elif mirror.redirect:
            self._respond(302, b"", {"Location": mirror.redirect})
        elif content is None:
            self._respond(404, b"")
        elif not byte_range or mirror.ignores_ranges:
            self._respond(200, content)
        else:
            start = int(byte_range.removeprefix("bytes=").rstrip("-"))
            content_range = mirror.content_range or f"bytes {start}-{len(content) - 1}/{len(content)}"
            self._respond(206, content[start:], {"Content-Range": content_range})

    def _respond(self, status: int, content: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        limit = self.mirror.body_limits.pop(0) if self.mirror.body_limits else len(content)
        self.wfile.write(content[:limit])

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def archive(members: Mapping[str, bytes]) -> bytes:
    """Return a zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return stream.getvalue()


def flipped(content: bytes) -> bytes:
    """Return the content with a changed bit in the embedder, which may be a member of an archive."""
    position = content.index(b"embedder") + 30
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


DETECTOR, EMBEDDER = b"detector " * 30_000, b"embedder " * 20_000
ARCHIVE = archive({"tiny/detector.onnx": DETECTOR, "tiny/extra.onnx": b"extra", "embedder.onnx": EMBEDDER})


def write_pack(catalogue: Path, *, needs_acceptance: bool = False, archived: bytes = ARCHIVE) -> None:
    """Write the record of the pack `tiny`, whose two files are members of `tiny.zip`."""
    head = f"""
name = "tiny"
summary = "for tests"
[licence]
name = "Research licence"
url = "https://example.org/licence"
terms = "research only"
commercial = false
needs_acceptance = {str(needs_acceptance).lower()}
[detector]
family = "scrfd"
file = "detector.onnx"
confidence = 0.5
selection_confidence = 0.7
upright_confidence = 0.8
max_side = 640
pitch_offset = 0.0
landmark_crop = {{ side = 96, face = 60.0 }}
[embedder]
file = "embedder.onnx"
input_size = 112
dimension = 128
mean = [127.5, 127.5, 127.5]
std = 127.5
color = "RGB"
mirror = true
template = [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]
[[downloads]]
name = "tiny.zip"
url = "https://example.invalid/tiny.zip"
sha256 = "{sha256(archived)}"
size = {len(archived)}
"""
    files = [
        f"""
[[files]]
name = "{name}"
sha256 = "{sha256(content)}"
size = {len(content)}
licence = "research"
[files.source]
downloads = ["tiny.zip"]
member = "{name}"
"""
        for name, content in (("detector.onnx", DETECTOR), ("embedder.onnx", EMBEDDER))
    ]
    (catalogue / "tiny").mkdir(parents=True)
    (catalogue / "tiny" / "pack.toml").write_text("".join([head, *files]), "utf-8")


@contextmanager
def serve_tiny(catalogue: Path, monkeypatch: pytest.MonkeyPatch, *, needs_acceptance: bool) -> Iterator[Mirror]:
    """Serve the pack `tiny`, and use a new ``catalogue`` of `open` and `tiny`."""
    write_pack(catalogue, needs_acceptance=needs_acceptance)
    (catalogue / "open").symlink_to(Path(__file__).resolve().parents[2] / "models" / "open")
    monkeypatch.setattr("app.packs.store._CHECKOUT_CATALOGUE", catalogue)
    monkeypatch.setattr("app.packs.download._RETRY_DELAY_S", 0.0)
    with serve({"tiny.zip": ARCHIVE}) as mirror:
        monkeypatch.setenv("COMPAREFACE_MODELS__MIRRORS", mirror.url)
        yield mirror


INSTALLED = ["tiny/detector.onnx", "tiny/embedder.onnx"]
PART = f".downloads/{sha256(ARCHIVE)}.part"


def from_mirrors(*mirrors: Mirror | str, attempts: int = 3) -> Origin:
    """Return an origin with these mirrors and without the published URL."""
    urls = tuple(mirror if isinstance(mirror, str) else mirror.url for mirror in mirrors)
    return Origin(mirrors=urls, uses_published_urls=False, attempts=attempts)


def stored_files(store: Store) -> list[str]:
    """Return the files in the folder of weights except for the lock."""
    folder = store.downloads_folder.parent
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.name != ".lock")


def write_files(folder: Path, **contents: bytes) -> Path:
    """Write files into a new folder; in their names, `__` stands for a dot."""
    folder.mkdir()
    for name, content in contents.items():
        (folder / name.replace("__", ".")).write_bytes(content)
    return folder
