# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A generated social graph: users, tweets and advertisements in communities.

Of K communities, tweet or advertisement n belongs to community n mod K. A user has
a home, community n mod K too, and two further interests, drawn at random. Who acts
is drawn by activity, a skewed weight of each user; then the community by the shares
below; then the other end by popularity, a skewed weight, among the users who are at
home there, or the tweets, or the advertisements. Edges of a relation are distinct,
and no user follows itself.

Every number is a function of the seed and of what it is drawn for: the same graph
on any machine and with any version of numpy.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from twhin.config.settings import (
    DemoGraph,
    Duplicates,
    EdgeSource,
    FileFormat,
    Holdout,
    RawEdges,
    TrainConfig,
    UnseenEntities,
)
from twhin.config.validate_data import DEMO_RELATIONS
from twhin.errors import DataError
from twhin.graph import random_bits
from twhin.graph.manifest import GraphManifest
from twhin.graph.prepare import preparation
from twhin.graph.prepare.engine import Progress, silent

RELATION_SHARES = {"follows": 0.4, "favorites": 0.3, "retweets": 0.1, "clicks": 0.2}
"""The share of each relation in all edges."""

COMMUNITY_SHARES = (0.65, 0.2, 0.1)
"""The share of a user's edges into its home and its two interests; the rest goes
into any community."""

HOLDOUT = Holdout(valid_fraction=0.05, test_fraction=0.05, by_time=False, relations=())
DEMO_FOLDER, EDGES_FILE = "demo", "edges.parquet"
"""The generated raw edges in the folder of a run."""

_USERS_PER_COMMUNITY, _TWEETS_PER_COMMUNITY, _ADVERTISEMENTS_PER_COMMUNITY = 100, 100, 5
_MAX_WEIGHT = 20.0
_MAX_ROUNDS = 50
# Distinguishes the draws that are made with one seed.
_ACTIVITY, _POPULARITY, _INTEREST, _EDGES = range(4)


def prepare_demo(
    settings: TrainConfig,
    output_dir: Path,
    *,
    memory_limit_bytes: int,
    num_threads: int,
    progress: Progress = silent,
) -> GraphManifest:
    """Generates the graph of a configuration and prepares it, or finds it done.

    Args:
      settings: The configuration; `data.demo` must be set.
      output_dir: The folder of the run: raw edges go to `demo/edges.parquet` and
        the prepared graph to `prepared`.
      memory_limit_bytes: As `preparation.prepare`.
      num_threads: As `preparation.prepare`.
      progress: Told about the steps.

    Raises:
      DataError: So many distinct edges do not exist, or a file cannot be written.
    """
    progress("demo edges", 0.0)
    return preparation.prepare(
        as_raw(settings, output_dir / DEMO_FOLDER),
        str(output_dir / "prepared"),
        memory_limit_bytes=memory_limit_bytes,
        num_threads=num_threads,
        progress=progress,
    )


def as_raw(settings: TrainConfig, folder: Path) -> TrainConfig:
    """Generates the graph of a configuration; returns it with raw edges as source.

    Args:
      settings: The configuration; without `data.demo` it is returned as it is.
      folder: Where the edges are written.

    Raises:
      DataError: So many distinct edges do not exist, or the file cannot be written.
    """
    demo = settings.data.demo
    if demo is None:
        return settings
    write_edges(demo, folder)
    source = EdgeSource(
        paths=(EDGES_FILE,),
        format=FileFormat.PARQUET,
        lhs="lhs",
        rhs="rhs",
        rel="rel",
        relation=None,
        weight=None,
        timestamp=None,
        filter=None,
        columns=(),
        sampling_rate=1.0,
    )
    raw = RawEdges(
        train=(source,),
        valid=(),
        test=(),
        holdout=HOLDOUT,
        duplicates=Duplicates.KEEP,
        unseen_entities=UnseenEntities.DROP,
        base_vocabulary=None,
    )
    data = dataclasses.replace(settings.data, root=str(folder), raw=raw, demo=None)
    return dataclasses.replace(settings, data=data)


def write_edges(demo: DemoGraph, folder: Path) -> None:
    """Writes the raw edges to `EDGES_FILE` of a folder, completely or not at all.

    Columns `lhs`, `rel`, `rhs`: text, ids like "user_17".

    Raises:
      DataError: So many distinct edges do not exist, or the file cannot be written.
    """
    table = generate_edges(demo)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f".{EDGES_FILE}"
        pq.write_table(table, partial)
        partial.rename(folder / EDGES_FILE)
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be written ({error}); allowed: a folder with free space"
        ) from error


def generate_edges(demo: DemoGraph) -> pa.Table:
    """Returns the edges: columns `lhs`, `rel`, `rhs` of text, `num_edges` rows.

    Raises:
      DataError: So many distinct edges do not exist.
    """
    names = {
        name: pa.array([f"{name}_{number}" for number in range(count)])
        for name, count in _num_entities(demo).items()
    }
    tables = []
    for relation, count in _edges_by_relation(demo.num_edges).items():
        lhs, rhs = _draw_relation(demo, relation, count)
        lhs_type, rhs_type = DEMO_RELATIONS[relation]
        columns = {
            "lhs": names[lhs_type].take(pa.array(lhs)),
            "rel": pa.array([relation] * count),
            "rhs": names[rhs_type].take(pa.array(rhs)),
        }
        tables.append(pa.table(columns))
    return pa.concat_tables(tables)


def num_communities(demo: DemoGraph) -> int:
    """Returns K, at least 2: a hundred users for each, and enough of the others."""
    return max(
        2,
        min(
            demo.num_users // _USERS_PER_COMMUNITY,
            demo.num_tweets // _TWEETS_PER_COMMUNITY,
            demo.num_advertisements // _ADVERTISEMENTS_PER_COMMUNITY,
        ),
    )


def _num_entities(demo: DemoGraph) -> dict[str, int]:
    return {
        "user": demo.num_users,
        "tweet": demo.num_tweets,
        "advertisement": demo.num_advertisements,
    }


def _edges_by_relation(num_edges: int) -> dict[str, int]:
    """Returns the number of edges of each relation; the sum is `num_edges`."""
    counts = {name: int(num_edges * s) for name, s in RELATION_SHARES.items()}
    counts["follows"] += num_edges - sum(counts.values())
    return counts


def _draw_relation(
    demo: DemoGraph, relation: str, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the [count] numbers of both ends of a relation's edges."""
    rhs_type = DEMO_RELATIONS[relation][1]
    num_rhs = _num_entities(demo)[rhs_type]
    codes = np.empty(0, dtype=np.int64)
    for round_number in range(_MAX_ROUNDS):
        lhs, rhs = _draw_edges(demo, relation, round_number, count)
        drawn = lhs * num_rhs + rhs
        if rhs_type == "user":
            drawn = drawn[lhs != rhs]
        codes = np.concatenate([codes, drawn])
        _, first = np.unique(codes, return_index=True)
        codes = codes[np.sort(first)][:count]
        if len(codes) == count:
            return codes // num_rhs, codes % num_rhs
    raise DataError(
        f"data.demo.num_edges: {demo.num_edges} are too many for {demo.num_users}"
        f" users: about {len(codes)} distinct edges of {relation!r} can be drawn;"
        " allowed: fewer edges, or more entities"
    )


def _draw_edges(
    demo: DemoGraph, relation: str, round_number: int, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the [count] numbers of both ends of edges that may repeat."""
    communities = num_communities(demo)
    relation_number = list(DEMO_RELATIONS).index(relation)
    draws = [
        _uniform((demo.seed, _EDGES, relation_number, round_number, draw), count)
        for draw in range(4)
    ]
    activity = _weights(demo.seed, _ACTIVITY, count=demo.num_users)
    lhs = _choose(np.cumsum(activity), draws[0])
    # Columns: home, the two interests, any community.
    choices = np.empty((count, 4), dtype=np.int64)
    choices[:, 0] = lhs % communities
    choices[:, 1:3] = _interests(demo)[lhs]
    choices[:, 3] = (draws[1] * communities).astype(np.int64)
    kind = np.searchsorted(np.cumsum(COMMUNITY_SHARES), draws[2], side="right")
    chosen = choices[np.arange(count), kind]
    return lhs, _choose_members(demo, relation, chosen, draws[3])


def _interests(demo: DemoGraph) -> NDArray[np.int64]:
    """Returns the [num_users, 2] communities of each user besides its home."""
    draws = [
        _uniform((demo.seed, _INTEREST, number), demo.num_users) for number in (0, 1)
    ]
    return (np.stack(draws, axis=1) * num_communities(demo)).astype(np.int64)


def _choose_members(
    demo: DemoGraph,
    relation: str,
    communities: NDArray[np.int64],
    draws: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Returns a member of each community, drawn by popularity.

    Args:
      demo: The size of the graph.
      relation: Its rhs entity type is drawn.
      communities: [n] int64.
      draws: [n] float64 in [0, 1).
    """
    rhs_type = DEMO_RELATIONS[relation][1]
    type_number = list(_num_entities(demo)).index(rhs_type)
    num_members = _num_entities(demo)[rhs_type]
    count = num_communities(demo)
    weights = _weights(demo.seed, _POPULARITY, type_number, count=num_members)
    # Members in the order of their communities, which then are intervals.
    members = np.argsort(np.arange(num_members) % count, kind="stable")
    cumulative = np.concatenate([[0.0], np.cumsum(weights[members])])
    bounds = np.searchsorted(members % count, np.arange(count + 1), side="left")
    low, high = cumulative[bounds[communities]], cumulative[bounds[communities + 1]]
    position = np.searchsorted(cumulative, low + draws * (high - low), side="right") - 1
    # Rounding may reach the upper bound, which belongs to the next community.
    found: NDArray[np.int64] = np.minimum(position, bounds[communities + 1] - 1)
    return members[found]


def _choose(
    cumulative: NDArray[np.float64], draws: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Returns positions with probabilities proportional to the weights summed up."""
    position = np.searchsorted(cumulative, draws * cumulative[-1], side="right")
    found: NDArray[np.int64] = np.minimum(position, len(cumulative) - 1)
    return found


def _weights(*key: int, count: int) -> NDArray[np.float64]:
    """Returns [count] skewed weights in [1, 20] that belong to a key.

    They follow a Pareto distribution of index 2, cut at its upper end. A square root
    is rounded exactly, so that it is the same on every machine.
    """
    return np.minimum(1 / np.sqrt(1 - _uniform(key, count)), _MAX_WEIGHT)


def _uniform(key: tuple[int, ...], count: int) -> NDArray[np.float64]:
    """Returns [count] numbers in [0, 1) that belong to a key."""
    counters = np.arange(count, dtype=np.uint64)
    bits = random_bits.random_bits(random_bits.stream_key(*key), counters)
    return random_bits.uniform_floats(bits)
