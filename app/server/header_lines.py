"""A limit on the header lines of a request. h11 limits only the bytes of a head.

h11 offers no public hook between splitting and parsing lines, so ``pyproject.toml`` keeps it below its next minor
version.
"""

import h11
from h11._receivebuffer import ReceiveBuffer

MAX_HEADER_LINES = 500
"""Limit for a head, and for the trailers of a chunked body. h11 needs 5 us per line, and 64 KB hold up to 32,000."""


class _LineLimitedBuffer(ReceiveBuffer):
    """h11's receive buffer, with a limit on the lines of a head or of trailers."""

    def maybe_extract_lines(self) -> list[bytearray] | None:
        lines = super().maybe_extract_lines()
        if lines is not None and len(lines) > MAX_HEADER_LINES:
            raise h11.LocalProtocolError("too many lines")  # h11 raises it again as a RemoteProtocolError
        return lines


def limit_header_lines(conn: h11.Connection) -> None:
    """Make ``conn`` reject more than ``MAX_HEADER_LINES`` header lines before it parses them."""
    conn._receive_buffer = _LineLimitedBuffer()  # noqa: SLF001
