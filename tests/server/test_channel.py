import resource
import socket

import pytest

from app.server import channel
from app.server.channel import Load, LostConnectionError


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


def test_a_connection_without_a_free_file_descriptor_is_lost_and_not_the_end() -> None:
    ours, theirs = channel.pair()
    client, accepted = socket.socketpair()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ours, theirs, client, accepted:
        channel.send_connection(ours, 1, accepted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            with pytest.raises(LostConnectionError):
                channel.receive_connection(theirs)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_announcement_or_the_exit_of_a_starting_process_arrives() -> None:
    ours, theirs = channel.pair()
    with ours, theirs:
        with pytest.raises(BlockingIOError):
            channel.receive_announcement(ours)
        channel.send_announcement(theirs, "at https://[::1]:1 · ready")
        channel.send_load(theirs, Load(0, 0, is_stopping=False))
        assert channel.receive_announcement(ours) == "at https://[::1]:1 · ready"
        assert channel.receive_load(ours) == Load(0, 0, is_stopping=False)
        theirs.close()
        assert channel.receive_announcement(ours) is None


def test_loads_arrive_one_by_one() -> None:
    ours, theirs = channel.pair()
    with ours, theirs:
        loads = [Load(received, received % 3, received == 4) for received in range(5)]
        for load in loads:
            channel.send_load(theirs, load)
        assert [channel.receive_load(ours) for _ in loads] == loads
        with pytest.raises(BlockingIOError):
            channel.receive_load(ours)
        theirs.close()
        assert channel.receive_load(ours) is None
