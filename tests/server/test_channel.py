import socket

import pytest

from app.server import channel
from app.server.channel import Load


def test_a_connection_arrives_with_the_index_of_its_listener() -> None:
    ours, theirs = channel.pair()
    client, accepted = socket.socketpair()
    with ours, theirs, client:
        with accepted:
            channel.send_connection(ours, 1, accepted)
        received = channel.receive_connection(theirs)
        assert received is not None
        index, connection = received
        with connection:
            connection.sendall(b"a")
        assert (index, client.recv(1)) == (1, b"a")


def test_the_end_of_the_connections_is_reported() -> None:
    ours, theirs = channel.pair()
    with ours, theirs:
        ours.shutdown(socket.SHUT_WR)
        assert channel.receive_connection(theirs) is None


def test_loads_arrive_one_by_one() -> None:
    ours, theirs = channel.pair()
    with ours, theirs:
        loads = [Load(received, received % 3) for received in range(5)]
        for load in loads:
            channel.send_load(theirs, load)
        assert [channel.receive_load(ours) for _ in loads] == loads
        with pytest.raises(BlockingIOError):
            channel.receive_load(ours)
        theirs.close()
        assert channel.receive_load(ours) is None
