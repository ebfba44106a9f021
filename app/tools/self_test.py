"""One made-up request through the whole application, without a socket: what ``serve --check`` tries."""

from __future__ import annotations

import base64
import io
import json
import time
from contextlib import nullcontext

import httpx
from PIL import Image
from starlette.types import Receive, Scope, Send

from app.api.engine import EngineLike
from app.asgi import create_app
from app.cli.sign import pick_key, signed_headers
from app.environment import Settings
from app.errors import ErrorCode

NO_FACE = ErrorCode.NO_FACE_IN_PHOTO.value
"""What the request must be answered."""

_HOST = "127.0.0.1"
_SIDE = 128  # pixels
_GREY = (128, 128, 128)


async def try_request(settings: Settings, engine: EngineLike) -> str:
    """Compare a grey picture with itself, signed if the settings ask for it; return the code of the answer."""
    picture = _grey_picture()
    body = json.dumps({"ImageA": picture, "ImageB": picture}).encode()
    headers = {"X-TC-Action": "CompareFace", "X-TC-Version": "2020-03-03"}
    if not settings.is_open:
        headers |= signed_headers(*pick_key(settings.auth, None), _HOST, body, int(time.time()))
    application = create_app(settings, lambda _: nullcontext(engine))
    async with application.router.lifespan_context(application) as state:

        async def started(scope: Scope, receive: Receive, send: Send) -> None:
            await application({**scope, "state": dict(state or {})}, receive, send)

        transport = httpx.ASGITransport(started)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{_HOST}") as client:
            reply = await client.post("/", headers=headers, content=body)
    error = reply.json()["Response"].get("Error")
    return str(error["Code"]) if error else "a score"


def _grey_picture() -> str:
    file = io.BytesIO()
    Image.new("RGB", (_SIDE, _SIDE), _GREY).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")
