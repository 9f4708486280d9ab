# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Credentials of the server: TLS, and mutual TLS where a client CA is given."""

from pathlib import Path

import grpc

from twhin.errors import ConfigError


def load_server_credentials(
    certificate: Path | None, key: Path | None, client_ca: Path | None
) -> grpc.ServerCredentials | None:
    """Returns credentials, or None for plain text.

    Args:
      certificate: The server's certificate chain, PEM.
      key: Its private key, PEM.
      client_ca: The authorities whose client certificates are accepted; then
        every client must show one.

    Raises:
      ConfigError: A file cannot be read, or only a part of them is given.
    """
    if certificate is None and key is None and client_ca is None:
        return None
    if certificate is None or key is None:
        raise ConfigError(
            "--tls_certificate, --tls_key: only one is set; both are needed for TLS"
        )
    return grpc.ssl_server_credentials(
        [(_read(key), _read(certificate))],
        root_certificates=None if client_ca is None else _read(client_ca),
        require_client_auth=client_ca is not None,
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
