# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""How a client connects: addresses, TLS, token, retries."""

import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from twhin.errors import ConfigError
from twhin.v1 import embedding_service_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["EmbeddingService"].full_name

# Only what says that no server has worked on the request: a server that is gone
# or that drains.
_RETRIED = ["UNAVAILABLE", "CANCELLED"]
_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{"service": SERVICE}],
            "waitForReady": True,
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.05s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2.0,
                "retryableStatusCodes": _RETRIED,
            },
        }
    ],
}
_IS_ADDRESS = {4: "ipv4", 6: "ipv6"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How to reach servers.

    Attributes:
      timeout_secs: The deadline of a request, its retries and parts included.
      token: The bearer token, or None.
      tls: Whether to use TLS; so it is where one of the files is given.
      tls_roots: The authorities to trust, PEM; None for those of gRPC.
      tls_certificate: The client's certificate chain, PEM, for mutual TLS.
      tls_key: Its private key, PEM.
      server_name: The name in the server's certificate where it is not the
        address.
      max_in_flight: The calls of one large request that wait for an answer at
        the same time, for each server.
    """

    timeout_secs: float = 10.0
    token: str | None = None
    tls: bool = False
    tls_roots: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    server_name: str | None = None
    max_in_flight: int = 4

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Returns what every call carries."""
        if self.token is None:
            return ()
        return (("authorization", f"Bearer {self.token}"),)

    def credentials(self) -> grpc.ChannelCredentials | None:
        """Returns the credentials, or None for plain text.

        Raises:
          ConfigError: A file cannot be read.
        """
        files = (self.tls_roots, self.tls_key, self.tls_certificate)
        if not self.tls and not any(files):
            return None
        return grpc.ssl_channel_credentials(*map(_read, files))

    def options(self) -> list[tuple[str, Any]]:
        """Returns the options of a channel."""
        options: list[tuple[str, Any]] = [
            ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            # Room for a whole large answer from the start, not found out by pings
            # that come with every answer.
            ("grpc.http2.lookahead_bytes", 4 << 20),
            ("grpc.http2.bdp_probe", 0),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 2_000),
            ("grpc.use_local_subchannel_pool", 1),
            # Finds a dead server behind an open stream.
            ("grpc.keepalive_time_ms", 20_000),
            ("grpc.keepalive_timeout_ms", 10_000),
        ]
        if self.server_name is not None:
            options += [
                ("grpc.ssl_target_name_override", self.server_name),
                ("grpc.default_authority", self.server_name),
            ]
        return options


def open_channel(kind: Any, addresses: str, connection: Connection) -> Any:
    """Returns a channel to one server.

    Args:
      kind: `grpc`, or `grpc.aio`.
      addresses: See `make_target`.
      connection: How to reach it.

    Raises:
      ConfigError: An address or file cannot be used.
    """
    target, options = make_target(addresses), connection.options()
    credentials = connection.credentials()
    if credentials is None:
        return kind.insecure_channel(target, options)
    return kind.secure_channel(target, credentials, options)


def unary_methods(opened: Any) -> dict[str, Any]:
    """Returns the methods of a channel with one answer; they take and give bytes."""
    return {
        name: opened.unary_unary(f"/{SERVICE}/{name}", None, None)
        for name in ("Lookup", "Retrieve", "Score", "GetBundle", "Reload")
    }


def make_target(addresses: str) -> str:
    """Returns the gRPC target of one server.

    Args:
      addresses: HOST:PORT, or several IP:PORT joined by ',': replicas, or the
        ports of a server's workers, which take turns.

    Raises:
      ConfigError: Several addresses of which one is no IP address, or not all of
        one kind.
    """
    parts = [part.strip() for part in addresses.split(",")]
    if len(parts) == 1:
        return parts[0]
    kinds = set()
    for part in parts:
        host = part.rpartition(":")[0].strip("[]")
        try:
            kinds.add(_IS_ADDRESS[ipaddress.ip_address(host).version])
        except ValueError as error:
            raise ConfigError(
                f"address: has the name {host!r} among several; allowed: one "
                "HOST:PORT, or several IP:PORT"
            ) from error
    if len(kinds) > 1:
        raise ConfigError("address: mixes IPv4 and IPv6; allowed: one of them")
    return f"{kinds.pop()}:{','.join(parts)}"


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
