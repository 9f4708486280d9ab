# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A request that is not answered, with the status the caller gets."""

import grpc


class RefusalError(Exception):
    """Ends a request with a gRPC status.

    Attributes:
      code: The status.
      message: One line for the caller: the field or limit at fault, the value,
        and what is allowed. It holds no path and no stack trace.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        """Stores the status and the message."""
        super().__init__(message)
        self.code = code
        self.message = message


def invalid(message: str) -> RefusalError:
    """Returns the refusal of a malformed request (INVALID_ARGUMENT)."""
    return RefusalError(grpc.StatusCode.INVALID_ARGUMENT, message)


def not_found(message: str) -> RefusalError:
    """Returns the refusal of an unknown table or relation (NOT_FOUND)."""
    return RefusalError(grpc.StatusCode.NOT_FOUND, message)


def exhausted(message: str) -> RefusalError:
    """Returns the refusal of a request over a rate (RESOURCE_EXHAUSTED)."""
    return RefusalError(grpc.StatusCode.RESOURCE_EXHAUSTED, message)


def failed_precondition(message: str) -> RefusalError:
    """Returns the refusal of what this server cannot do now."""
    return RefusalError(grpc.StatusCode.FAILED_PRECONDITION, message)
