"""Image reference -> file bytes: from base64 text or, through the :class:`~app.imaging.fetch.Fetcher`, from a URL.

Size rule of the vendor's CompareFace page: the base64 text of a picture is at most 5 MB. Standard base64 is meant;
a ``data:`` prefix, the URL-safe alphabet, line breaks and missing padding are forgiven.
"""

from __future__ import annotations

import base64
import binascii

from app.domain import ImageRef
from app.errors import ApiError, ErrorCode
from app.imaging.fetch import Fetcher
from app.ops.deadline import Deadline

MAX_BASE64_CHARS = 5 * 1024 * 1024
MAX_BYTES = MAX_BASE64_CHARS // 4 * 3
_LONGEST_PREFIX = 128
_TO_STANDARD = str.maketrans("-_", "+/", " \t\r\n\v\f=")


async def read(ref: ImageRef, fetcher: Fetcher, deadline: Deadline) -> bytes:
    """Return the bytes ``ref`` refers to; a URL wins over inline data.

    Raise ``ImageEmpty``, ``ImageSizeExceed``, ``ImageDecodeFailed`` or what :meth:`Fetcher.fetch` raises.
    """
    if ref.url:
        return await fetcher.fetch(ref.url, deadline, MAX_BYTES)
    if not ref.base64:
        raise ApiError(ErrorCode.IMAGE_EMPTY)
    return decode_base64(ref.base64)


def decode_base64(text: str) -> bytes:
    """Decode at most :data:`MAX_BASE64_CHARS` of base64; raise ``ImageSizeExceed`` or ``ImageDecodeFailed``."""
    if len(text) > MAX_BASE64_CHARS:
        raise ApiError(ErrorCode.IMAGE_SIZE_EXCEED)
    if text.startswith("data:"):
        text = text[text.find(",", 0, _LONGEST_PREFIX) + 1 :]
    digits = text.translate(_TO_STANDARD)
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ApiError(ErrorCode.IMAGE_DECODE_FAILED) from error
