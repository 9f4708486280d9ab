# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The flags that say how to reach a source of vectors."""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from twhin.client.bundle_info import BundleInfo
from twhin.client.channel import Connection
from twhin.client.open_source import open_source
from twhin.client.remote_requests import get_table
from twhin.client.source import VectorSource
from twhin.errors import ConfigError

_TOKEN_FILE = flags.DEFINE_string(
    "token_file", None, "The file that holds the bearer token of a server."
)
_TLS_ROOTS = flags.DEFINE_string(
    "tls_roots", None, "The authorities to trust (PEM); turns TLS on."
)
_TLS_CERTIFICATE = flags.DEFINE_string(
    "tls_certificate", None, "The client's certificate chain (PEM), for mutual TLS."
)
_TLS_KEY = flags.DEFINE_string("tls_key", None, "The certificate's private key (PEM).")
_TIMEOUT_SECS = flags.DEFINE_float(
    "timeout_secs", 10.0, "The deadline of a request.", lower_bound=0.001
)


def open_named_source(name: str) -> VectorSource:
    """Returns the source of an argument: a bundle's folder, or addresses.

    Raises:
      ConfigError: It is neither, or a file of a flag cannot be read.
      BundleError: The folder holds no sound bundle.
    """
    return open_source(
        name,
        Connection(
            timeout_secs=_TIMEOUT_SECS.value,
            token=_read_token(),
            tls_roots=_path(_TLS_ROOTS.value),
            tls_certificate=_path(_TLS_CERTIFICATE.value),
            tls_key=_path(_TLS_KEY.value),
        ),
        # One lookup is over before anything is compiled.
        compiled=False,
    )


def parse_ids(
    info: BundleInfo, entity_type: str, texts: Sequence[str]
) -> list[int] | list[str]:
    """Returns ids of the command line as the entity type has them.

    Raises:
      RequestError: The entity type is unknown.
      ConfigError: An id is no integer where ids are integers.
    """
    if get_table(info, entity_type).is_string:
        return list(texts)
    try:
        return [int(text) for text in texts]
    except ValueError as error:
        raise ConfigError(
            f"ID: {error}; allowed: integers, as {entity_type!r} has them"
        ) from error


def _read_token() -> str | None:
    if _TOKEN_FILE.value is None:
        return None
    try:
        return Path(_TOKEN_FILE.value).read_text().strip()
    except OSError as error:
        raise ConfigError(
            f"--token_file: {_TOKEN_FILE.value}: cannot be read: {error.strerror}"
        ) from error


def _path(value: str | None) -> Path | None:
    return None if value is None else Path(value)
