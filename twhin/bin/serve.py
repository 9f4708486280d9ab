# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Serves a bundle over gRPC: lookup, retrieval, scoring.

Prints one line when all workers serve: the shared port, each worker's own port,
and the address of the metrics. SIGTERM drains and stops, SIGHUP looks for a new
version at once.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from twhin.bin import command
from twhin.errors import BundleError, ConfigError
from twhin.serving.limits import Limits
from twhin.serving.options import ServerOptions
from twhin.serving.supervisor import EXIT_UNUSABLE, Addresses, Supervisor

_DEFAULTS = ServerOptions(bundle=Path())
_LIMITS = _DEFAULTS.limits

_BUNDLE = flags.DEFINE_string(
    "bundle", None, "The root of a bundle's versions, or the folder of one version."
)
_HOST = flags.DEFINE_string("host", _DEFAULTS.host, "The IP address to listen on.")
_PORT = flags.DEFINE_integer(
    "port", 50051, "The port that all workers share; 0 lets the system choose."
)
_METRICS_PORT = flags.DEFINE_integer(
    "metrics_port", 0, "The port of the Prometheus endpoint; 0 lets the system choose."
)
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers",
    None,
    "Worker processes; without it one for each core.",
    lower_bound=1,
)
_SHARDS = flags.DEFINE_string(
    "shards",
    None,
    "The shards to serve, FIRST-LAST/TOTAL, like 0-3/8; without it all.",
)
_TOKENS = flags.DEFINE_string(
    "tokens", None, "The file of bearer tokens; without it everyone may do everything."
)
_TLS_CERTIFICATE = flags.DEFINE_string(
    "tls_certificate", None, "The server's certificate chain (PEM); turns TLS on."
)
_TLS_KEY = flags.DEFINE_string("tls_key", None, "The certificate's private key (PEM).")
_TLS_CLIENT_CA = flags.DEFINE_string(
    "tls_client_ca",
    None,
    "The authorities of client certificates (PEM); every client must show one then.",
)
_POLL_SECS = flags.DEFINE_float(
    "poll_secs",
    _DEFAULTS.poll_secs,
    "The time between two looks for a new version; 0 never looks.",
    lower_bound=0.0,
)
_PRELOAD = flags.DEFINE_boolean(
    "preload", False, "Verifies and warms the first version before serving it."
)
_LOCK_MEMORY = flags.DEFINE_boolean(
    "lock_memory", False, "Locks the bundle in memory; needs `ulimit -l`."
)
_DRAIN_NOTICE_SECS = flags.DEFINE_float(
    "drain_notice_secs",
    _DEFAULTS.drain_notice_secs,
    "The time after SIGTERM in which requests are still taken while health says"
    " NOT_SERVING.",
    lower_bound=0.0,
)
_DRAIN_SECS = flags.DEFINE_float(
    "drain_secs",
    _DEFAULTS.drain_secs,
    "The time that requests in work get to end after that.",
    lower_bound=0.0,
)
_ACCESS_LOG = flags.DEFINE_boolean(
    "access_log", False, "Logs every request as JSON on stderr."
)
_TRACE = flags.DEFINE_boolean(
    "trace",
    False,
    "Sends a span of every request to OpenTelemetry; the OTEL_* variables say where.",
)
_MAX_IDS = flags.DEFINE_integer(
    "max_ids", _LIMITS.max_ids, "Ids of one lookup or scoring.", lower_bound=1
)
_MAX_QUERIES = flags.DEFINE_integer(
    "max_queries", _LIMITS.max_queries, "Queries of one retrieval.", lower_bound=1
)
_MAX_K = flags.DEFINE_integer(
    "max_k", _LIMITS.max_k, "Entities per query of a retrieval.", lower_bound=1
)
_MAX_MESSAGE_BYTES = flags.DEFINE_integer(
    "max_message_bytes", _LIMITS.max_message_bytes, "Bytes of a request.", lower_bound=1
)
_MAX_CONCURRENT = flags.DEFINE_integer(
    "max_concurrent",
    _LIMITS.max_concurrent,
    "Requests that a worker has accepted and not answered.",
    lower_bound=1,
)
_MAX_STREAMS = flags.DEFINE_integer(
    "max_streams", _LIMITS.max_streams, "Open streams of a worker.", lower_bound=0
)
_MAX_QUEUE_SECS = flags.DEFINE_float(
    "max_queue_secs",
    _LIMITS.max_queue_secs,
    "The time that a request may wait before work on it begins.",
    lower_bound=0.0,
)
_SHARD_RANGE = re.compile(r"(\d+)-(\d+)/(\d+)")


def parse_shards(text: str | None) -> tuple[int, int, int] | None:
    """Returns (first, end, total) of FIRST-LAST/TOTAL; None for None.

    Raises:
      ConfigError: The text has another form, or names no shard.
    """
    if text is None:
        return None
    match = _SHARD_RANGE.fullmatch(text)
    if match is not None:
        first, last, total = map(int, match.groups())
        if first <= last < total:
            return first, last + 1, total
    raise ConfigError(
        f"--shards: is {text!r}; allowed: FIRST-LAST/TOTAL, like 0-3/8, with"
        " FIRST <= LAST < TOTAL"
    )


def make_options() -> ServerOptions:
    """Returns the options that the flags name.

    Raises:
      ConfigError: A flag is missing or malformed.
    """
    if _BUNDLE.value is None:
        raise ConfigError("--bundle: is not set; allowed: the folder of a bundle")
    return ServerOptions(
        bundle=Path(_BUNDLE.value).absolute(),
        host=_HOST.value,
        shards=parse_shards(_SHARDS.value),
        limits=Limits(
            max_ids=_MAX_IDS.value,
            max_queries=_MAX_QUERIES.value,
            max_k=_MAX_K.value,
            max_message_bytes=_MAX_MESSAGE_BYTES.value,
            max_concurrent=_MAX_CONCURRENT.value,
            max_streams=_MAX_STREAMS.value,
            max_queue_secs=_MAX_QUEUE_SECS.value,
        ),
        token_file=_path(_TOKENS.value),
        tls_certificate=_path(_TLS_CERTIFICATE.value),
        tls_key=_path(_TLS_KEY.value),
        tls_client_ca=_path(_TLS_CLIENT_CA.value),
        poll_secs=_POLL_SECS.value,
        lock_memory=_LOCK_MEMORY.value,
        preload=_PRELOAD.value,
        drain_notice_secs=_DRAIN_NOTICE_SECS.value,
        drain_secs=_DRAIN_SECS.value,
        access_log=_ACCESS_LOG.value,
        trace=_TRACE.value,
        num_workers=_NUM_WORKERS.value or len(os.sched_getaffinity(0)),
    )


def main(arguments: Sequence[str]) -> None:
    """Serves until a signal ends it."""
    del arguments
    options = make_options()
    supervisor = Supervisor(options, port=_PORT.value, metrics_port=_METRICS_PORT.value)
    if supervisor.run(lambda addresses: _announce(options, addresses)) == EXIT_UNUSABLE:
        raise BundleError(f"{options.bundle}: cannot be served; see the lines above")


def _announce(options: ServerOptions, addresses: Addresses) -> None:
    ports = ",".join(map(str, addresses.worker_ports))
    print(
        f"serving on {options.host} port={addresses.port} worker_ports={ports}"
        f" metrics=http://{options.host}:{addresses.metrics_port}/metrics",
        flush=True,
    )


def _path(value: str | None) -> Path | None:
    return None if value is None else Path(value).absolute()


if __name__ == "__main__":
    command.run(main)
