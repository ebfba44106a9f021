"""``ImageDecodeFailed`` with a reason: what a file or a text looks like instead of an image."""

import re
from base64 import b64encode

from app.errors import ApiError, ErrorCode, Text

TRUNCATED = Text("the file is truncated", "文件被截断")
UNSUPPORTED_FORMAT = Text("the image is not in JPEG, PNG or BMP format", "图片不是 JPEG、PNG 或 BMP 格式")
UNSUPPORTED_JPEG = Text(
    "the JPEG is lossless or hierarchical, or has more than 8 bits per colour",
    "JPEG 为无损或分层编码，或每个颜色超过 8 位",
)
AMBIGUOUS_CMYK = Text(
    "the JPEG has CMYK colours without an Adobe marker, so they may be inverted; convert it to RGB",
    "JPEG 为没有 Adobe 标记的 CMYK 颜色，无法确定是否反相；请转换为 RGB",
)
INVALID_MASKS = Text("the colour masks of the BMP are invalid", "BMP 的颜色掩码无效")
TRANSPARENT = Text("every pixel of the image is transparent", "图片的所有像素都是透明的")
_NOT_BASE64 = Text("the text is not base64", "内容不是 base64")
_LOST_PLUS = Text(
    "the base64 text contains spaces, probably instead of `+`; encode `+` as `%2B` in a form",
    "base64 内容含有空格，可能是 `+` 变成了空格；表单中须将 `+` 编码为 `%2B`",
)
_PERCENT_ENCODED = Text("the base64 text is percent-encoded", "base64 内容含有百分号编码")
_JSON_ESCAPED = Text("the base64 text contains quotes or escapes of JSON", "base64 内容含有 JSON 的引号或转义符")
_BYTES_LITERAL = Text(
    "the base64 text is a bytes literal of Python; decode the bytes to `str`",
    "base64 内容是 Python 的 bytes 字面量；请将 bytes 解码为 `str`",
)
_URL = Text(
    "the text is a URL instead of base64; send it in the URL parameter", "内容是 URL 而不是 base64；请使用 URL 参数"
)
_HEXADECIMAL = Text("the image is hexadecimal text instead of base64", "图片内容是十六进制而不是 base64")
_ENCODED_TWICE = Text("the image is base64 text; encode it only once", "图片内容本身是 base64；请只编码一次")

INNER_SPACE = re.compile(r" (?<=[\w+/=-] ) *+[\w+/=-]", re.ASCII)
"""Spaces between two characters of base64 on one line. The search is linear."""
_FOREIGN = re.compile(r"[^\w+/=\s:;,-]", re.ASCII)
"""Characters of neither base64 nor the prefix of a data URL."""
_HEXADECIMAL_IMAGE = re.compile(r"\s*+(0x)?(ffd8ff|89504e47|424d)[0-9a-f]{16}", re.I)
_TEXT_PATTERNS = (
    (re.compile(r"\s*+(https?|file|blob|content):", re.I), _URL),
    (re.compile(r"\s*+b['\"]"), _BYTES_LITERAL),
    (re.compile(r"\s*+\"|[^\\]*\\"), _JSON_ESCAPED),
    (re.compile(r"[^%]*%[0-9a-f]{2}", re.I), _PERCENT_ENCODED),
    (_HEXADECIMAL_IMAGE, _HEXADECIMAL),
)
_CONTENT_PATTERNS = (
    (re.compile(r"\s*+(/9j/|iVBORw0KGgo|Qk[\w+/-]{14}|data:)", re.ASCII), _ENCODED_TWICE),
    (_HEXADECIMAL_IMAGE, _HEXADECIMAL),
)
_INSPECTED_BYTES = 96


def decode_failed(reason: Text) -> ApiError:
    """Return ``ImageDecodeFailed`` with ``reason`` in its message and, in English, in the access log."""
    text = Text(f"Image decoding failed: {reason.en}.", f"图片解码失败：{reason.zh}。")
    return ApiError(ErrorCode.IMAGE_DECODE_FAILED, text, reason=reason.en)


def explain_text(text: str) -> Text:
    """Return what ``text``, which is not accepted as base64, looks like; in linear time."""
    for pattern, meaning in _TEXT_PATTERNS:
        if pattern.match(text):
            return meaning
    return _LOST_PLUS if INNER_SPACE.search(text) and not _FOREIGN.search(text) else _NOT_BASE64


def explain_content(data: bytes) -> Text:
    """Return what ``data``, which is in no supported format, looks like."""
    start = data[:_INSPECTED_BYTES]
    for text in (start.decode("latin-1"), b64encode(start).decode()):  # the second if hexadecimal text passed as base64
        for pattern, meaning in _CONTENT_PATTERNS:
            if pattern.match(text):
                return meaning
    return UNSUPPORTED_FORMAT
