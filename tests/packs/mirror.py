"""A small web server of files, on loopback, that can be told to misbehave; and packs made to be pulled from it."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread


@dataclass
class Mirror:
    """What it serves, how, and what it was asked for."""

    files: dict[str, bytes]
    url: str = ""
    break_off_after: list[int] = field(default_factory=list)
    """Bytes sent before the connection is cut, one number for each of the next answers."""
    statuses: list[int] = field(default_factory=list)
    """Instead of an answer, for each of the next requests."""
    ignores_ranges: bool = False
    content_range: str = ""
    """Instead of the right one."""
    redirect: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Path and Range of each request."""


@contextmanager
def serve(files: Mapping[str, bytes]) -> Iterator[Mirror]:
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
        mirror, wanted = self.mirror, self.headers.get("Range", "")
        mirror.asked.append((self.path, wanted))
        content = mirror.files.get(self.path.partition("?")[0].lstrip("/"))
        if mirror.statuses:
            self._answer(mirror.statuses.pop(0), b"")
        elif mirror.redirect:
            self._answer(302, b"", {"Location": mirror.redirect})
        elif content is None:
            self._answer(404, b"")
        elif not wanted or mirror.ignores_ranges:
            self._answer(200, content)
        else:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            right = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self._answer(206, content[start:], {"Content-Range": mirror.content_range or right})

    def _answer(self, status: int, content: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        end = self.mirror.break_off_after.pop(0) if self.mirror.break_off_after else len(content)
        self.wfile.write(content[:end])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def archive(members: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return stream.getvalue()


DETECTOR, EMBEDDER = b"detector " * 30_000, b"embedder " * 20_000
ARCHIVE = archive({"tiny/detector.onnx": DETECTOR, "tiny/extra.onnx": b"extra", "embedder.onnx": EMBEDDER})


def write_pack(catalogue: Path, *, needs_acceptance: bool = False, archived: bytes = ARCHIVE) -> None:
    """Make the pack `tiny`: two files in an archive, `tiny.zip`."""
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
