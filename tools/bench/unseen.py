# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Measures the vectors of users that were not trained, on lastfm.

    python -m tools.bench.unseen --data=DATA/lastfm-social --work=/tmp/unseen

A fifth of the users is taken out of the graph, the rest is trained and exported.
The users taken out get vectors from the artists that they listen to in the
training edges, and rank all other artists. Prints a JSON object with the mean
Recall@20 of their test edges by

    trained      their vectors from a training with them
    relation     the mean of what their edges ask for, see `twhin.retrieval.unseen`
    neighbors    the mean of the artists' vectors
    mixture      the clusters of the artists, each with `relation`, fused
    popularity   the artists of most training edges
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from absl import app, flags

from tools.bench.lastfm_run import Edges, Graph, train
from twhin.bundle.bundle import Bundle
from twhin.evaluation.entity_mixtures import EntityMixture
from twhin.evaluation.mixture_ranker import component_queries, fuse_lists
from twhin.retrieval import comparators, unseen
from twhin.retrieval.clusters import make_clusters
from twhin.retrieval.relation_query import make_query
from twhin.scoring import Comparator
from twhin.side import Side

_DATA = flags.DEFINE_string("data", None, "Has parquet/{train,test}.parquet.")
_WORK = flags.DEFINE_string("work", None, "A folder for runs; goes on where it was.")
_EPOCHS = flags.DEFINE_integer("epochs", 20, "Of both runs.")
_SEEDS = flags.DEFINE_list("seeds", ["0"], "Splits and initialisations.")
_TAKEN_OUT = flags.DEFINE_float("taken_out", 0.2, "The share of users.")
_NUM_CLUSTERS = flags.DEFINE_integer("num_clusters", 100, "Of the mixture.")
_NUM_INTERESTS = flags.DEFINE_integer("num_interests", 5, "Of the mixture.")
_OVERRIDE = flags.DEFINE_multi_string("override", [], "For both runs.")
_K = 20

Floats = npt.NDArray[np.float32]
Lists = npt.NDArray[np.int64]


class _Users:
    """Users, what they are known to listen to, and what is to be found."""

    def __init__(self, graph: Graph, ids: npt.NDArray[np.int64]) -> None:
        self.ids = ids
        self.train = self._listens(graph.train)
        self.test = self._listens(graph.test)

    def _listens(self, edges: Edges) -> tuple[Lists, Lists]:
        """Returns the positions of users, and the ids of artists."""
        chosen = edges.take(edges.is_listen & np.isin(edges.lhs, self.ids))
        return np.searchsorted(self.ids, chosen.lhs), chosen.rhs

    def recall(self, bundle: Bundle, lists: Lists) -> float:
        """Returns the mean Recall@K of lists [n, K or more] of artists' rows."""
        users, artists = self.test
        rows = bundle.find("artist", artists)
        hits = (lists[users, :_K] == rows[:, None]).any(axis=1)
        sizes = np.bincount(users, minlength=len(self.ids))
        found = np.bincount(users, hits, minlength=len(self.ids))
        has = sizes > 0
        return round(float((found[has] / sizes[has]).mean()), 4)

    def best(self, bundle: Bundle, scores: Floats) -> Lists:
        """Returns the artists of the highest scores [n, V] but those known."""
        users, artists = self.train
        rows = bundle.find("artist", artists)
        scores[users[rows >= 0], rows[rows >= 0]] = -np.inf
        order: Lists = np.argsort(-scores, axis=1, kind="stable")[:, : 2 * _K]
        return order


def main(argv: Sequence[str]) -> None:
    """Measures with every seed."""
    del argv
    for seed in map(int, _SEEDS.value):
        work = Path(_WORK.value).absolute() / f"seed-{seed}"
        print(json.dumps({"seed": seed, **_measure(work, seed)}), flush=True)


def _measure(work: Path, seed: int) -> dict[str, float]:
    work.mkdir(parents=True, exist_ok=True)
    graph = Graph.load(Path(_DATA.value), seed)
    everyone = np.unique(graph.train.lhs)
    drawn = np.random.default_rng(seed).random(len(everyone)) < _TAKEN_OUT.value
    users = _Users(graph, everyone[drawn])
    rest = graph.within(everyone[~drawn], np.unique(graph.train.rhs))
    with_them = _train(work, "with", graph, seed)
    without = _train(work, "without", rest, seed)

    trained = with_them.vectors("user", with_them.find("user", users.ids))
    degrees = _degrees(without, rest.train)
    found = {
        "users": float(len(users.ids)),
        "trained": users.recall(with_them, _rank(with_them, users, trained)),
        "popularity": users.recall(
            without, users.best(without, np.tile(degrees, (len(users.ids), 1)))
        ),
    }
    for name, relation in (("relation", "listens"), ("neighbors", None)):
        edges = _edges(without, users, relation)
        averaged = unseen.average(without, len(users.ids), [edges])
        found[name] = users.recall(without, _rank(without, users, averaged.values))
    found["mixture"] = users.recall(without, _rank_mixtures(without, users))
    return found


def _train(work: Path, name: str, graph: Graph, seed: int) -> Bundle:
    graph.write(work / f"graph-{name}")
    run = train(
        work / f"graph-{name}",
        work / name,
        epochs=_EPOCHS.value,
        seed=seed,
        overrides=[*_OVERRIDE.value, "export.bundle_root=bundle", "export.index=none"],
    )
    return Bundle.open(run.folder / "bundle")


def _edges(bundle: Bundle, users: _Users, relation: str | None) -> unseen.UnseenEdges:
    positions, artists = users.train
    return unseen.UnseenEdges(
        relation=relation,
        entity_type="artist",
        unseen=positions,
        rows=bundle.find("artist", artists),
    )


def _rank(bundle: Bundle, users: _Users, vectors: Floats) -> Lists:
    return users.best(bundle, _scores(bundle, _query(bundle, vectors)))


def _query(bundle: Bundle, vectors: Floats) -> Floats:
    return make_query(bundle, "listens", Side.RHS, vectors).vectors


def _scores(bundle: Bundle, queries: Floats) -> Floats:
    artists = bundle.vectors("artist", np.arange(bundle.tables["artist"].num_rows))
    return comparators.pairwise(bundle.comparator, queries, artists)


def _rank_mixtures(bundle: Bundle, users: _Users) -> Lists:
    clusters = make_clusters(bundle.tables["artist"], _NUM_CLUSTERS.value)
    edges = _edges(bundle, users, "listens")
    num_users = len(users.ids)
    mixtures = unseen.mix(
        bundle, num_users, edges, clusters, num_interests=_NUM_INTERESTS.value
    )
    single = unseen.average(bundle, num_users, [edges]).values
    queries = component_queries(
        torch.from_numpy(_query(bundle, single)),
        EntityMixture(
            clusters=torch.from_numpy(mixtures.clusters),
            weights=torch.from_numpy(mixtures.weights),
            means=torch.from_numpy(mixtures.means),
        ),
        Comparator(bundle.comparator),
    ).numpy()
    lists = [
        users.best(bundle, _scores(bundle, queries[:, interest]))
        for interest in range(queries.shape[1])
    ]
    stacked = torch.from_numpy(np.stack(lists, axis=1))
    fused: Lists = fuse_lists(stacked, torch.from_numpy(mixtures.weights)).numpy()
    return fused


def _degrees(bundle: Bundle, edges: Edges) -> Floats:
    rows = bundle.find("artist", edges.rhs[edges.is_listen])
    num_rows = bundle.tables["artist"].num_rows
    return np.bincount(rows[rows >= 0], minlength=num_rows).astype(np.float32)


if __name__ == "__main__":
    flags.mark_flags_as_required(["data", "work"])
    app.run(main)
