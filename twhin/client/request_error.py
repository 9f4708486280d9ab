# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A request that no server answered."""

import grpc

from twhin.errors import TwhinError


class RequestError(TwhinError):
    """A gRPC status other than OK, after the retries that may help.

    Attributes:
      code: The status.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        """Stores the status and what the server said."""
        super().__init__(f"{code.name}: {message}")
        self.code = code


def never_agreed() -> RequestError:
    """Returns the error of servers that keep answering from different versions."""
    return RequestError(
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "the servers answered from different versions until the deadline",
    )


def from_rpc_error(error: grpc.RpcError) -> RequestError:
    """Returns the error of a failed call."""
    return RequestError(error.code(), error.details() or "")
