# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A small bundle, and a worker's parts over it, for tests."""

from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry

from twhin.scoring import Operator
from twhin.serving.live_bundle import LiveBundle
from twhin.serving.metrics import ServerMetrics
from twhin.testing.small_bundle import (
    RelationForTest,
    TableForTest,
    write_bundle_for_test,
)

# Users have the ids 10, 20, ... and tweets "t0", "t1", ...; the vector of number
# i is [i, i / 2, 1, base].
NUM_USERS, NUM_TWEETS, DIM = 6, 5, 4
TRANSLATION = (0.0, 1.0, 0.0, 0.0)


def user_id(number: int) -> int:
    """Returns the id of a user."""
    return 10 * (number + 1)


def vector(number: int, base: float = 0.0) -> list[float]:
    """Returns the vector of a user or tweet."""
    return [float(number), number / 2, 1.0, base]


def write_bundle(root: Path, *, base: float = 0.0, num_shards: int = 1) -> str:
    """Writes the next version, all of whose vectors end with `base`.

    It has the relations "likes" (user, tweet) with a translation, and "follows"
    (user, user) without.

    Returns:
      The version.
    """
    users = np.array([vector(i, base) for i in range(NUM_USERS)], np.float32)
    tweets = np.array([vector(i, base) for i in range(NUM_TWEETS)], np.float32)
    return write_bundle_for_test(
        root,
        {
            "user": TableForTest(
                ids=[user_id(i) for i in range(NUM_USERS)], vectors=users
            ),
            "tweet": TableForTest(
                ids=[f"t{i}" for i in range(NUM_TWEETS)], vectors=tweets
            ),
        },
        [
            RelationForTest(
                name="likes",
                lhs="user",
                rhs="tweet",
                operator=Operator.TRANSLATION,
                parameters=TRANSLATION,
            ),
            RelationForTest(name="follows", lhs="user", rhs="user"),
        ],
        num_shards=num_shards,
    )


def make_metrics() -> tuple[ServerMetrics, CollectorRegistry]:
    """Returns metrics that live in this process, and where to read them."""
    registry = CollectorRegistry()
    return ServerMetrics(registry), registry


def open_live(
    root: Path, shards: tuple[int, int, int] | None = None
) -> tuple[LiveBundle, CollectorRegistry]:
    """Returns a live bundle, and where to read its metrics."""
    metrics, registry = make_metrics()
    live = LiveBundle(
        root, shards=shards, lock_memory=False, preload=True, metrics=metrics
    )
    return live, registry
