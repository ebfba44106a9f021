"""The initial corpus: small generated inputs. ``python -m tests.fuzz.seeds`` writes it."""

import base64
import io
import struct
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

CORPUS = Path(__file__).resolve().parent / "corpus"

_CREDENTIAL = b"TC3-HMAC-SHA256 Credential=AKIDEXAMPLE/2023-11-14/iai/tc3_request, "
_AUTHORIZATION = _CREDENTIAL + b"SignedHeaders=content-type;host, Signature=" + b"0" * 64
_V1 = b"Action=CompareFace&Version=2020-03-03&Timestamp=1700000000&Nonce=1&SecretId=AKIDEXAMPLE&Signature=AAAA"
_JSON = (
    b'{"ImageA":"AAAA","UrlB":"http://a/\\u00e9","QualityControl":1,"NeedRotateDetection":0,"FaceModelVersion":"3.0"}'
)
_PART = (
    b'--b\r\nContent-Disposition: form-data; name="UrlA"; filename="a"\r\nContent-Type: text/plain\r\n\r\nhttp://a\r\n'
)


def main() -> None:
    for target, name, content in seeds():
        path = CORPUS / target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def seeds() -> Iterator[tuple[str, str, bytes]]:
    """Yield target, name and content."""
    text = base64.b64encode(bytes(range(64)))
    yield "base64_text", "standard", text
    yield "base64_text", "url_safe", text.replace(b"+", b"-").replace(b"/", b"_").rstrip(b"=")
    yield "base64_text", "spaces", text.replace(b"+", b" ")
    yield "base64_text", "percent", text.replace(b"+", b"%2B")
    yield "base64_text", "lines", b"data:image/jpeg;base64," + text[:40] + b"\r\n" + text[40:]
    yield "authorization", "tc3", _AUTHORIZATION
    head = b"content-type:application/json\nhost:a\nx-tc-action:CompareFace\nx-tc-version:2020-03-03\n"
    signed = b"x-tc-timestamp:1700000000\nauthorization:" + _AUTHORIZATION
    yield "signed_request", "tc3", b"POST \n" + head + signed + b"\n\n{}"
    yield "signed_request", "v1_get", b"GET " + _V1 + b"\nhost:a\n\n"
    yield "signed_request", "v1_form", b"POST \nhost:a\ncontent-type:application/x-www-form-urlencoded\n\n" + _V1
    yield "form", "escapes", b"UrlA=http%3A%2F%2Fa%2F%E4%B8%AD+1&ImageB=a%2Bb&NeedRotateDetection=1&Language"
    yield "multipart", "file", b"multipart/form-data; boundary=b\n" + _PART + b"--b--\r\n"
    yield "json", "all", _JSON
    for name, content in _images():
        yield "image", name, content


def _images() -> Iterator[tuple[str, bytes]]:
    """Yield 64 x 64 images in all encodings that the decoders support, by file name."""
    ramp = np.add.outer(np.arange(64), 2 * np.arange(64)).astype(np.uint8)
    colour = np.dstack([ramp, ramp.T, 255 - ramp])
    for suffix, end in ((".jpg", 2), (".png", 12), (".bmp", 1)):
        content = cv2.imencode(suffix, colour)[1].tobytes()
        yield f"colour{suffix}", content
        yield f"cut{suffix}", content[:-end]
    yield "grey16.png", cv2.imencode(".png", ramp.astype(np.uint16) * 257)[1].tobytes()
    yield "alpha.png", cv2.imencode(".png", np.dstack([colour, ramp]))[1].tobytes()
    yield "progressive.jpg", cv2.imencode(".jpg", colour, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    yield "restarts.jpg", cv2.imencode(".jpg", colour, [cv2.IMWRITE_JPEG_RST_INTERVAL, 2])[1].tobytes()
    base = Image.fromarray(colour)
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, image in (("turned.jpg", base), ("cmyk.jpg", base.convert("CMYK"))):
        yield name, _saved(image, "JPEG", exif=exif)
    for name, mode in (("palette.png", "P"), ("bits.png", "1"), ("grey_alpha.png", "LA")):
        yield name, _saved(base.convert(mode), "PNG")
    palette_png = _saved(base.convert("P"), "PNG", transparency=0)
    start = palette_png.index(b"PLTE") - 4
    length = int.from_bytes(palette_png[start : start + 4])
    yield "no_palette.png", palette_png[:start] + palette_png[start + 12 + length :]
    yield "palette.bmp", _saved(base.convert("P"), "BMP")
    header = struct.pack("<2sIIIIiiHH6I", b"BM", 66 + 8192, 0, 66, 40, 64, 64, 1, 16, 3, 8192, 0, 0, 0, 0)
    yield "bit_fields.bmp", header + struct.pack("<3I", 0x1F, 0x7E0, 0xF800) + ramp.astype("<u2").tobytes()


def _saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


if __name__ == "__main__":
    main()
