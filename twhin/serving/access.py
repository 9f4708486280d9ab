# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Who may call what, and how often: bearer tokens from a file.

The file is JSON:

    {"tokens": [{"name": "ranker", "sha256": "9f86d0...",
                 "permissions": ["lookup", "retrieve"],
                 "requests_per_sec": 2000}]}

`sha256` is the hexadecimal digest of the token, so that the file holds no
secret. `requests_per_sec` is for the whole server and may be left out. Without
a token file every caller may do everything.
"""

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import grpc

from twhin.errors import ConfigError
from twhin.serving.refusal_error import RefusalError, exhausted

PERMISSIONS = ("lookup", "retrieve", "admin")

_KEYS = {"name", "sha256", "permissions", "requests_per_sec"}


class RateLimit:
    """A token bucket: `rate` requests a second, with bursts of one second."""

    def __init__(
        self, rate: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Starts full.

        Args:
          rate: Requests per second, above 0.
          clock: Returns the time in seconds.
        """
        self._rate = rate
        self._capacity = max(rate, 1.0)
        self._level = self._capacity
        self._clock = clock
        self._last = clock()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Counts one request; returns whether it is within the rate."""
        with self._lock:
            now = self._clock()
            self._level = min(
                self._capacity, self._level + (now - self._last) * self._rate
            )
            self._last = now
            if self._level < 1.0:
                return False
            self._level -= 1.0
            return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One token's owner, permissions and rate."""

    name: str
    permissions: frozenset[str]
    rate_limit: RateLimit | None = field(default=None)


class Access(Protocol):
    """Decides whether a request may go on."""

    def check(self, metadata: Iterable[tuple[str, Any]], permission: str) -> None:
        """Returns if the caller may; raises `RefusalError` otherwise."""


class OpenAccess:
    """Everyone may do everything."""

    def check(self, metadata: Iterable[tuple[str, Any]], permission: str) -> None:
        """Returns."""


class TokenAccess:
    """Callers show a bearer token in the metadata entry `authorization`."""

    def __init__(self, callers: dict[str, Caller]) -> None:
        """Takes the callers by the hexadecimal SHA-256 of their token."""
        self._callers = callers

    def check(self, metadata: Iterable[tuple[str, Any]], permission: str) -> None:
        """Returns if the caller may.

        Raises:
          RefusalError: UNAUTHENTICATED without a known token, PERMISSION_DENIED
            without the permission, RESOURCE_EXHAUSTED over the token's rate.
        """
        value = next((v for k, v in metadata if k == "authorization"), "")
        digest = hashlib.sha256(str(value).removeprefix("Bearer ").encode()).hexdigest()
        caller = self._callers.get(digest)
        if caller is None:
            raise RefusalError(
                grpc.StatusCode.UNAUTHENTICATED,
                "authorization: no known token; allowed: 'Bearer TOKEN'",
            )
        if permission not in caller.permissions:
            raise RefusalError(
                grpc.StatusCode.PERMISSION_DENIED,
                f"authorization: {caller.name!r} lacks the permission {permission!r}",
            )
        if caller.rate_limit is not None and not caller.rate_limit.take():
            raise exhausted(f"authorization: {caller.name!r} is over its rate")


def load_access(path: Path | None, num_workers: int) -> Access:
    """Reads a token file; None gives open access.

    Args:
      path: The file.
      num_workers: Worker processes that share the server's load; each allows
        its part of a rate.

    Raises:
      ConfigError: The file cannot be read or is malformed.
    """
    if path is None:
        return OpenAccess()
    try:
        content = json.loads(path.read_text())
        entries = content["tokens"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path}: cannot be read as a token file: {error}; allowed: JSON with "
            "a list 'tokens'"
        ) from error
    callers: dict[str, Caller] = {}
    for index, entry in enumerate(entries):
        digest, caller = _caller(f"{path}: tokens[{index}]", entry, num_workers)
        if digest in callers:
            raise ConfigError(f"{path}: tokens[{index}].sha256: repeated; each is once")
        callers[digest] = caller
    return TokenAccess(callers)


def _caller(where: str, entry: Any, num_workers: int) -> tuple[str, Caller]:
    if not isinstance(entry, dict) or not {"name", "sha256", "permissions"} <= set(
        entry
    ):
        raise ConfigError(f"{where}: has no name, sha256 and permissions; all required")
    for key in set(entry) - _KEYS:
        raise ConfigError(f"{where}.{key}: unknown; known: {sorted(_KEYS)}")
    digest = str(entry["sha256"]).lower()
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise ConfigError(
            f"{where}.sha256: is {digest!r}; allowed: 64 hexadecimal digits"
        )
    for permission in entry["permissions"]:
        if permission not in PERMISSIONS:
            raise ConfigError(
                f"{where}.permissions: is {permission!r}; allowed: {list(PERMISSIONS)}"
            )
    rate = entry.get("requests_per_sec")
    if rate is not None and not (isinstance(rate, int | float) and rate > 0):
        raise ConfigError(f"{where}.requests_per_sec: is {rate!r}; allowed: above 0")
    return digest, Caller(
        name=str(entry["name"]),
        permissions=frozenset(entry["permissions"]),
        rate_limit=None if rate is None else RateLimit(rate / num_workers),
    )
