# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What one worker accepts; more is refused with a status that names the limit."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on requests.

    Attributes:
      max_ids: Ids of one lookup or scoring.
      max_queries: Queries of one retrieval.
      max_k: Results per query.
      max_message_bytes: Size of a request.
      max_concurrent: Requests that a worker has accepted and not answered.
      max_streams: Open streams of a worker.
      max_queue_secs: How long a request may wait before work on it begins.
    """

    max_ids: int = 65_536
    max_queries: int = 256
    max_k: int = 1_000
    max_message_bytes: int = 4 << 20
    max_concurrent: int = 32
    max_streams: int = 16
    max_queue_secs: float = 0.5
