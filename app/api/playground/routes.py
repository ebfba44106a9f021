"""The playground's addresses: a page, and the files beside this module that it loads. No cloud request is handled here.

In: nothing but the name of a file. Out: the file, with headers that let the page load and call its own origin only. The
page is a client like any other: it signs in the browser and posts to ``/``.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

_FOLDER = Path(__file__).resolve().parent
_PAGE = "index.html"
_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".json": "application/json"}
FILES = {path.name: _TYPES[path.suffix] for path in sorted(_FOLDER.iterdir()) if path.suffix in _TYPES}
"""All that is served, with its type; other names are unknown, whatever they spell."""

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cache-control": "no-cache",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


async def page(_: Request) -> Response:
    return _file(_PAGE)


async def resource(request: Request) -> Response:
    name = request.path_params["name"]
    return _file(name) if name in FILES else Response(status_code=404, headers=HEADERS)


async def slashed(_: Request) -> Response:
    """Lead to the page: its links are relative, so that a proxy may serve it below a path of its own."""
    return RedirectResponse("../playground", headers=HEADERS)


PLAYGROUND: tuple[BaseRoute, ...] = (
    Route("/playground", page),
    Route("/playground/", slashed),
    Route("/playground/{name}", resource),
)


def _file(name: str) -> Response:
    return Response(_content(name), media_type=FILES[name], headers=HEADERS)


@cache
def _content(name: str) -> bytes:
    return (_FOLDER / name).read_bytes()
