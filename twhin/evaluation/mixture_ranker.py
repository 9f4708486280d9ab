# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Retrieval by several queries for each lhs entity instead of one.

Letters in shapes: E held-out edges, Q entities, m queries of one entity, L
candidates of a list, D embedding dimension.

Each cluster of an entity's mixture makes a query of the single vector q, which
says what the entity likes, and of the cluster's mean c, which says where:

    dot, cosine   q / |q| + c / |c|
    distances     (q + c) / 2

Deviation: the paper queries with c alone, which on the graphs of docs/quality.md
finds less than q alone; their sum finds more than either.

The lists of the m queries are fused: a candidate is worth the sum of weight /
(rank + 1) over the queries whose list holds it. What several interests want comes
before what the largest one wants least.

Reference: Cormack et al., "Reciprocal Rank Fusion outperforms Condorcet and
individual Rank Learning Methods", SIGIR 2009, weighted and with the constant 1:
the lists are of different interests, of which only the beginnings are of use.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from twhin.config.settings import Mixture
from twhin.evaluation.candidates import Candidates
from twhin.evaluation.clusters import make_clusters
from twhin.evaluation.comparison import Comparison
from twhin.evaluation.entity_mixtures import EntityMixture, EntityMixtures
from twhin.evaluation.known_edges import KnownEdges
from twhin.evaluation.metrics import Numbers
from twhin.evaluation.ranker import QueryModel
from twhin.evaluation.ranking import Ranking
from twhin.evaluation.sharded_rows import ShardedRows
from twhin.evaluation.top_candidates import find_top
from twhin.scoring import Comparator

_CHUNK_ENTITIES = 512
_RANK_OFFSET = 1.0
_DOT = (Comparator.DOT, Comparator.COSINE)


class MixtureRanker:
    """Ranks the positives of held-out edges by the lists of mixtures."""

    def __init__(
        self,
        settings: Mixture,
        *,
        model: QueryModel,
        comparator: Comparator,
        rows: ShardedRows,
        seed: int,
    ) -> None:
        """Joins a model with its tables.

        Args:
          settings: What mixtures are made of.
          model: Makes the single queries.
          comparator: How queries are compared with candidates.
          rows: The embeddings.
          seed: The seed of clusters.
        """
        self._settings = settings
        self._model = model
        self._comparator = comparator
        self._rows = rows
        self._seed = seed

    @torch.no_grad()
    def rank(
        self,
        ranking: Ranking,
        known: KnownEdges,
        edges: Mapping[int, KnownEdges],
        limit: int,
    ) -> Numbers:
        """Returns the place of every edge's positive; a collective.

        Args:
          ranking: The edges; the rhs is ranked, among all rows.
          known: Candidates that lists leave out.
          edges: By relation its training edges; the number of a query is a row of
            the lhs.
          limit: L.

        Returns:
          [E] float64, from 1; infinite where a list does not hold the positive.
        """
        candidates = ranking.candidates
        clusters = make_clusters(
            self._rows,
            candidates.entity_type,
            candidates.num_rows,
            self._settings.num_clusters,
            self._seed,
        )
        lhs = Candidates(entity_type=ranking.known_type, num_rows=ranking.num_known)
        lists = [torch.empty((0, limit), dtype=torch.int64)]
        for rel in np.unique(ranking.query_rel):
            mixtures = EntityMixtures(
                self._settings,
                rows=self._rows,
                lhs=lhs,
                rhs=candidates,
                clusters=clusters,
                edges=edges[int(rel)],
            )
            (queries,) = np.nonzero(ranking.query_rel == rel)
            for chunk in torch.split(torch.from_numpy(queries), _CHUNK_ENTITIES):
                lists.append(self._make_lists(ranking, chunk, mixtures, known, limit))
        return _places(torch.cat(lists), ranking)

    def _make_lists(
        self,
        ranking: Ranking,
        numbers: Tensor,
        mixtures: EntityMixtures,
        known: KnownEdges,
        limit: int,
    ) -> Tensor:
        """Returns [Q, L] int64 for the queries of given numbers."""
        entities = torch.from_numpy(ranking.query_known)[numbers]
        rel = torch.from_numpy(ranking.query_rel)[numbers].to(self._rows.device)
        vectors = self._rows.lookup(ranking.known_type, entities)
        single = self._model.query(ranking.side, vectors, rel).vectors
        mixture = mixtures.represent(entities)
        queries = component_queries(single, mixture, self._comparator)
        num_queries = queries.shape[1]
        comparison = Comparison(self._comparator)
        found = find_top(
            self._rows,
            ranking.candidates,
            comparison,
            queries=comparison.prepare_queries(queries.flatten(0, 1)),
            numbers=numbers.repeat_interleave(num_queries),
            left_out=known,
            num_wanted=limit,
        )
        return fuse_lists(
            found.view(len(numbers), num_queries, limit).cpu(), mixture.weights
        )


def component_queries(
    single: Tensor, mixture: EntityMixture, comparator: Comparator
) -> Tensor:
    """Returns the queries of mixtures.

    Args:
      single: [Q, D] float32, the query of each entity.
      mixture: Of the same entities.
      comparator: How queries are compared with candidates.

    Returns:
      [Q, m, D] float32; the single query where the weight is 0.
    """
    means = mixture.means.to(single.device)
    alone = single[:, None].expand_as(means)
    if comparator in _DOT:
        both = functional.normalize(alone, dim=-1) + functional.normalize(means, dim=-1)
    else:
        both = (alone + means) / 2
    has_mean = (mixture.weights > 0)[..., None].to(single.device)
    return torch.where(has_mean, both, alone)


def fuse_lists(lists: Tensor, weights: Tensor) -> Tensor:
    """Fuses the lists of each entity's queries, each candidate once.

    Args:
      lists: [Q, m, L] int64, the best first; -1 where there are no more.
      weights: [Q, m] float32, at least 0; where all are 0, equal.

    Returns:
      [Q, L] int64; -1 where there are no more. Of equal candidates the smaller
      number is first.
    """
    length = lists.shape[-1]
    weights = torch.where(weights.any(-1, keepdim=True), weights, 1.0)
    worth = weights[..., None] / (torch.arange(1, length + 1) + _RANK_OFFSET)
    candidates, order = lists.flatten(1).sort(dim=1, stable=True)
    is_new = torch.ones_like(candidates, dtype=torch.bool)
    is_new[:, 1:] = candidates[:, 1:] != candidates[:, :-1]
    place = is_new.cumsum(1) - 1
    distinct = torch.full_like(candidates, -1).scatter_(1, place, candidates)
    sums = torch.zeros(candidates.shape).scatter_add_(
        1, place, worth.flatten(1).gather(1, order)
    )
    sums[distinct < 0] = -torch.inf
    best = sums.sort(dim=1, descending=True, stable=True).indices[:, :length]
    return distinct.gather(1, best)


def _places(lists: Tensor, ranking: Ranking) -> Numbers:
    """Returns [E] float64, the place of each positive in its query's list."""
    rows = lists[torch.from_numpy(ranking.query)].numpy()
    is_positive = rows == ranking.positive[:, None]
    places: Numbers = np.where(
        is_positive.any(axis=1), is_positive.argmax(axis=1) + 1.0, np.inf
    )
    return places
