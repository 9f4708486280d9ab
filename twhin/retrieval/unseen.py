# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Vectors of entities that were not trained, from the entities they touched.

Each edge to a known entity asks something of the unseen one: where it is a candidate,
it is compared with the query q that `make_query` gives for the edge's other
end. Its vector is the weighted mean

    x = sum of w q / sum of w     over its edges to known entities

With the identity a query is the neighbour's own vector, and x their mean
(El-Kishky et al., arXiv 2202.05387, equation 5).

As a mixture (kNN-Embed, arXiv 2205.06205, without smoothing) it is the means of its
neighbours in the clusters where most of the weight is.

Letters in shapes: n unseen entities, E edges, m clusters of one entity, D embedding
dimension.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twhin.bundle.bundle import Bundle
from twhin.bundle.id_hash import Int64Array
from twhin.retrieval.clusters import Clusters
from twhin.retrieval.operators import Floats
from twhin.retrieval.relation_query import known_type, make_query
from twhin.side import Side

_BLOCK_EDGES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class UnseenEdges:
    """Edges of one relation between unseen and known entities.

    Attributes:
      relation: The name of the relation; None takes neighbours as they are.
      entity_type: The type of the known entities.
      side: The side of the relation on which the unseen entities stand.
      unseen: int64 [E], which unseen entity, in [0, n).
      rows: int64 [E], rows of the known ones; -1 is left out.
      weights: float32 [E], at least 0; None for 1 each.
    """

    relation: str | None
    entity_type: str
    side: Side = Side.LHS
    unseen: Int64Array
    rows: Int64Array
    weights: Floats | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnseenVectors:
    """One vector for each unseen entity.

    Attributes:
      values: float32 [n, D]; zero where nothing is known.
      weights: float32 [n], the sum of the weights of its known neighbours.
    """

    values: Floats
    weights: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class UnseenMixtures:
    """Several vectors for each unseen entity.

    Attributes:
      clusters: int64 [n, m], by falling weight.
      weights: float32 [n, m], their shares of the entity's weight; 0 where it has
        fewer clusters.
      means: float32 [n, m, D], the means of its neighbours there; 0 where the
        weight is.
    """

    clusters: Int64Array
    weights: Floats
    means: Floats


def average(
    bundle: Bundle, num_unseen: int, edges: Sequence[UnseenEdges]
) -> UnseenVectors:
    """Returns the weighted means of what the edges ask for.

    Args:
      bundle: With the shards of the known entities.
      num_unseen: n.
      edges: Edges of any relations.

    Raises:
      KeyError: The bundle has no such relation or entity type.
      ValueError: Edges are of another type than their relation's, or not of [0, n).
      BundleError: A relation cannot rank the lhs.
    """
    sums = np.zeros((num_unseen, bundle.dim), np.float64)
    weights = np.zeros(num_unseen, np.float64)
    for group in edges:
        known = _known(bundle, num_unseen, group)
        for start in range(0, len(known.rows), _BLOCK_EDGES):
            part = slice(start, start + _BLOCK_EDGES)
            vectors = bundle.vectors(group.entity_type, known.rows[part])
            queries = make_query(bundle, group.relation, group.side, vectors).vectors
            np.add.at(sums, known.unseen[part], queries * known.weights[part][:, None])
        weights += np.bincount(known.unseen, known.weights, minlength=num_unseen)
    divisors = np.where(weights > 0, weights, 1.0)
    return UnseenVectors(
        values=(sums / divisors[:, None]).astype(np.float32),
        weights=weights.astype(np.float32),
    )


def mix(
    bundle: Bundle,
    num_unseen: int,
    edges: UnseenEdges,
    clusters: Clusters,
    *,
    num_interests: int,
) -> UnseenMixtures:
    """Returns the means of neighbours, cluster by cluster.

    Args:
      bundle: With the shards of the known entities.
      num_unseen: n.
      edges: Edges of one relation.
      clusters: Those of the known entities.
      num_interests: m, the number of clusters that are kept of each entity.

    Raises:
      KeyError: The bundle has no such relation or entity type.
      ValueError: Edges are of another type than their relation's, or not of [0, n).
    """
    known = _known(bundle, num_unseen, edges)
    num_clusters = len(clusters.centroids)
    num_kept = min(num_interests, num_clusters)
    cluster = clusters.of_row[known.rows]
    # The pairs of an entity and a cluster that occur, with their weights.
    pairs, pair = np.unique(known.unseen * num_clusters + cluster, return_inverse=True)
    weights = np.bincount(pair, known.weights, minlength=len(pairs))
    sums = np.zeros((len(pairs), bundle.dim), np.float64)
    for start in range(0, len(known.rows), _BLOCK_EDGES):
        part = slice(start, start + _BLOCK_EDGES)
        vectors = bundle.vectors(edges.entity_type, known.rows[part])
        np.add.at(sums, pair[part], vectors * known.weights[part][:, None])
    entity = pairs // num_clusters
    order = np.lexsort((pairs, -weights, entity))
    first = np.searchsorted(entity[order], np.arange(num_unseen))
    place = np.arange(len(order)) - first[entity[order]]
    is_kept = (place < num_kept) & (weights[order] > 0)
    order, place = order[is_kept], place[is_kept]
    totals = np.bincount(known.unseen, known.weights, minlength=num_unseen)
    mixtures = UnseenMixtures(
        clusters=np.zeros((num_unseen, num_kept), np.int64),
        weights=np.zeros((num_unseen, num_kept), np.float32),
        means=np.zeros((num_unseen, num_kept, bundle.dim), np.float32),
    )
    rows = entity[order]
    mixtures.clusters[rows, place] = pairs[order] % num_clusters
    mixtures.weights[rows, place] = weights[order] / totals[rows]
    mixtures.means[rows, place] = sums[order] / weights[order][:, None]
    return mixtures


@dataclass(frozen=True, slots=True, kw_only=True)
class _KnownEdges:
    """Those edges whose other end is known; all [K]."""

    unseen: Int64Array
    rows: Int64Array
    weights: npt.NDArray[np.float64]


def _known(bundle: Bundle, num_unseen: int, edges: UnseenEdges) -> _KnownEdges:
    if edges.relation is not None:
        expected = known_type(bundle, edges.relation, edges.side)
        if edges.entity_type != expected:
            raise ValueError(
                f"entity_type: is {edges.entity_type!r}; allowed: {expected!r}, the"
                f" other side of {edges.relation!r}"
            )
    unseen = np.asarray(edges.unseen, np.int64)
    if len(unseen) and not 0 <= unseen.min() <= unseen.max() < num_unseen:
        raise ValueError(
            f"unseen: has {unseen.min()} to {unseen.max()}; allowed: 0 to"
            f" {num_unseen - 1}"
        )
    weights = np.ones(len(unseen)) if edges.weights is None else edges.weights
    rows = np.asarray(edges.rows, np.int64)
    is_known = bundle.holds(edges.entity_type, rows)
    return _KnownEdges(
        unseen=unseen[is_known],
        rows=rows[is_known],
        weights=np.asarray(weights, np.float64)[is_known],
    )
