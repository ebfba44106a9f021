import h11
import pytest

from app.server.header_lines import MAX_HEADER_LINES, limit_header_lines


def _parse(request: bytes) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
    conn = h11.Connection(h11.SERVER, 10**6)
    limit_header_lines(conn)
    conn.receive_data(request)
    event = conn.next_event()
    while not isinstance(event, h11.EndOfMessage):
        event = conn.next_event()
    return event


@pytest.mark.parametrize("section", ["head", "trailers"])
def test_h11_uses_the_replaced_receive_buffer(section: str) -> None:
    """Fails if another version of h11 splits heads or trailers elsewhere; then ``limit_header_lines`` must change."""
    start = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
    for lines, is_valid in ((MAX_HEADER_LINES - 10, True), (MAX_HEADER_LINES + 1, False)):
        headers = b"a: b\r\n" * lines
        head, trailers = (headers, b"") if section == "head" else (b"", headers)
        request = start + head + b"\r\n0\r\n" + trailers + b"\r\n"
        if is_valid:
            assert isinstance(_parse(request), h11.EndOfMessage)
        else:
            with pytest.raises(h11.RemoteProtocolError, match="too many lines"):
                _parse(request)
