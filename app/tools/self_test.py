"""Send one synthetic request through the application in process: the use case of ``serve --check``."""

import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import cv2
import httpx
import numpy as np

from app.api.auth.keys import KeyRing
from app.api.gateway import EngineLike
from app.asgi import create_app
from app.domain import ActionName
from app.environment import Settings
from app.errors import ErrorCode
from app.tools.signing import pick_key, signed_headers

NO_FACE = ErrorCode.NO_FACE_IN_PHOTO.value
"""The error code that the response must have."""

_HOST = "127.0.0.1"
_GREY_IMAGE = np.full((128, 128, 3), 128, dtype=np.uint8)


async def try_request(settings: Settings, engine: EngineLike) -> str:
    """Compare a grey image with itself; return the error code of the response, or "no error".

    The request is signed if the settings require a signature. If no caller may compare, detect faces instead.
    """
    image = base64.b64encode(cv2.imencode(".png", _GREY_IMAGE)[1].tobytes()).decode("ascii")
    action = _allowed_action(settings)
    names = ("ImageA", "ImageB") if action == ActionName.COMPARE_FACE else ("Image",)
    body = json.dumps(dict.fromkeys(names, image)).encode()
    headers = {"X-TC-Action": action.value, "X-TC-Version": "2020-03-03"}
    if not settings.is_open:
        headers |= signed_headers(*pick_key(settings.auth, None, action), _HOST, body, int(time.time()))
    async with in_process_client(settings, engine, _HOST) as client:
        response = await client.post("/", headers=headers, content=body)
    error = response.json()["Response"].get("Error")
    return str(error["Code"]) if error else "no error"


def _allowed_action(settings: Settings) -> ActionName:
    callers = KeyRing.open(settings.auth).callers().values()
    may_compare = settings.is_open or any(caller.may_call(ActionName.COMPARE_FACE) for caller in callers)
    return ActionName.COMPARE_FACE if may_compare or not callers else ActionName.DETECT_FACE


@asynccontextmanager
async def in_process_client(settings: Settings, engine: EngineLike, host: str) -> AsyncIterator[httpx.AsyncClient]:
    """Start the application and yield a client that calls it without a socket."""
    application = create_app(settings, lambda _: nullcontext(engine))
    async with application.router.lifespan_context(application) as state:

        async def with_state(scope: Any, receive: Any, send: Any) -> None:
            await application({**scope, "state": dict(state or {})}, receive, send)

        transport = httpx.ASGITransport(with_state, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            yield client
