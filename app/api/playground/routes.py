"""Routes of the playground: its page and the files that the page loads, from the folder of this module.

The headers allow the page to load from and call its own origin only. The page signs its requests in the browser and
sends them to ``/``, like any client.
"""

from functools import cache
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

_FOLDER = Path(__file__).resolve().parent
_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".json": "application/json"}
FILES = {path.name: _TYPES[path.suffix] for path in sorted(_FOLDER.iterdir()) if path.suffix in _TYPES}
"""Name and media type of the files that are served."""

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cache-control": "no-cache",
    "permissions-policy": "camera=(self), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


async def file(request: Request) -> Response:
    """Return a file of the playground, by default its page."""
    name = request.path_params.get("name", "index.html")
    if name not in FILES:
        raise HTTPException(404)
    return Response(_content(name), media_type=FILES[name], headers=HEADERS)


async def redirect_to_page(_: Request) -> Response:
    """Redirect to ``/playground`` with a relative URL, because a proxy may serve the page below a prefix."""
    return RedirectResponse("../playground", headers=HEADERS)


PLAYGROUND: tuple[BaseRoute, ...] = (
    Route("/playground", file),
    Route("/playground/", redirect_to_page),
    Route("/playground/{name}", file),
)


@cache
def _content(name: str) -> bytes:
    return (_FOLDER / name).read_bytes()
