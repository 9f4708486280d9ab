# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A port that several processes listen on, or one after another."""

import socket
from types import TracebackType


class ReservedPort:
    """Holds a port without listening, so that no one else is given it.

    Workers listen on it with SO_REUSEPORT. The reservation itself takes no
    connections, since it does not listen.

    Attributes:
      port: The port's number.
    """

    def __init__(self, host: str, port: int = 0) -> None:
        """Binds the port; 0 lets the system choose.

        Raises:
          OSError: The port is taken.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._socket.bind((host, port))
        self.port: int = self._socket.getsockname()[1]

    def __enter__(self) -> "ReservedPort":
        """Returns self."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Gives the port back."""
        self._socket.close()
