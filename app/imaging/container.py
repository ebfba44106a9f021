"""Encoded image -> the part of it that decoders need, before a decoder reads it.

Decoders read the parts around an image without a time limit. 3.9 MB of tiny JPEG segments occupy Pillow for 4 s, and
3.9 MB of compressed PNG texts occupy libpng for 2 s. A JPEG of 100,000 scans takes minutes. Damage outside of the rows
of an image makes decoders fail. The modules of the formats therefore keep only what affects pixels. They walk the
outermost structure and decompress nothing.
"""

from app.imaging import bmp, jpeg, png
from app.imaging.failure import decode_failed, explain_content
from app.imaging.stripped import StrippedFile

_JPEG, _BMP = b"\xff\xd8\xff", b"BM"


def strip(data: bytes) -> StrippedFile:
    """Return the stripped file; raise ``ImageDecodeFailed`` with the reason for another format or a truncated file."""
    if data.startswith(_JPEG):
        return jpeg.strip_jpeg(data)
    if data.startswith(png.SIGNATURE):
        return png.strip_png(data)
    if data.startswith(_BMP):
        return bmp.normalise_bmp(data)
    raise decode_failed(explain_content(data))
