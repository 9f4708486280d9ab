# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Requests as steps that know nothing of threads, sockets or asyncio.

A generator yields calls to make, all at once, and is sent their answers; what
it returns is the result. The sync client, the asyncio client and streams differ
only in how they make the calls. A request that is too large for one call, or
whose ids lie on several servers, becomes several calls.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from twhin.client.bundle_info import BundleInfo, read_info
from twhin.errors import BundleError
from twhin.v1 import embedding_service_pb2 as pb

T = TypeVar("T")

# Servers of one bundle switch to a new version within about a second of each
# other; meanwhile answers are asked for again.
RETRY_SECS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to one server.

    Attributes:
      server: The server's number.
      method: The method of the service.
      request: The serialized message.
    """

    server: int
    method: str
    request: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Calls that do not wait for each other.

    Attributes:
      calls: The calls.
      delay_secs: The time to wait before them.
    """

    calls: Sequence[Call]
    delay_secs: float = 0.0


Steps: TypeAlias = Generator[Calls, list[bytes], T]


class MixedVersionsError(BundleError):
    """Servers answered from different versions of the bundle."""


def check_same_version(versions: Sequence[str]) -> str:
    """Returns the version that all answers come from.

    Raises:
      MixedVersionsError: They come from several.
    """
    if len(set(versions)) > 1:
        raise MixedVersionsError(
            f"version: servers answered from {sorted(set(versions))}; needed: one"
        )
    return versions[0]


def describe_steps(num_servers: int) -> Steps[list[BundleInfo]]:
    """Returns what each server tells about itself."""
    answers = yield Calls(
        calls=[
            Call(server=server, method="GetBundle", request=b"")
            for server in range(num_servers)
        ]
    )
    return [read_info(pb.GetBundleResponse.FromString(answer)) for answer in answers]
