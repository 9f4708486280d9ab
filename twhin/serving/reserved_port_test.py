# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of reserved_port."""

import socket

import pytest

from twhin.serving.reserved_port import ReservedPort


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    return listener


def test_reservation_takes_no_connections_of_the_listener() -> None:
    with ReservedPort("127.0.0.1") as reserved, _listen(reserved.port) as listener:
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", reserved.port), timeout=5):
                connection, _ = listener.accept()
                connection.close()


def test_port_is_held_against_those_who_do_not_share() -> None:
    with (
        ReservedPort("127.0.0.1") as reserved,
        socket.socket() as other,
        pytest.raises(OSError, match="in use"),
    ):
        other.bind(("127.0.0.1", reserved.port))
