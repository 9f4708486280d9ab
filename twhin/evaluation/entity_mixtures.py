# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Entities as mixtures over clusters of what they are joined to.

Letters in shapes: Q entities, m clusters of one entity, D embedding dimension.

A lhs entity u has in one relation the training edges E(u). With C(t) the cluster
of a rhs entity t, and N(u) the nearest neighbours of u by cosine,

    p(t | u)   = 1 / |E(u)| for t in E(u), otherwise 0
    p_s(t | u) = (1 - s) p(t | u) + s / |N(u)| sum over v in N(u) of p(t | v)
    weight(u, c) = sum over C(t) = c of p_s(t | u)
    mean(u, c)   = sum over C(t) = c of p_s(t | u) t, divided by weight(u, c)

of which the m clusters of the largest weight are kept. s is the smoothing; with
s = 0 an entity is what it is joined to itself.

Reference: El-Kishky et al., "kNN-Embed: Locally Smoothed Embedding Mixtures For
Multi-interest Candidate Retrieval", arXiv 2205.06205.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from twhin.config.settings import Mixture
from twhin.evaluation.candidates import Candidates
from twhin.evaluation.clusters import Clusters
from twhin.evaluation.comparison import Comparison
from twhin.evaluation.known_edges import KnownEdges
from twhin.evaluation.sharded_rows import ShardedRows
from twhin.evaluation.top_candidates import find_top
from twhin.scoring import Comparator


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityMixture:
    """Mixtures of Q entities; on the CPU.

    Attributes:
      clusters: [Q, m] int64, by falling weight.
      weights: [Q, m] float32, 0 where an entity has fewer clusters; in a row they
        sum up to at most 1.
      means: [Q, m, D] float32, 0 where the weight is.
    """

    clusters: Tensor
    weights: Tensor
    means: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class _WeightedEdges:
    """The p_s(t | u) of Q entities.

    Attributes:
      entity: [n] int64, positions of u.
      target: [n] int64, rows t; pairs may repeat.
      weight: [n] float32.
    """

    entity: Tensor
    target: Tensor
    weight: Tensor


class EntityMixtures:
    """Makes the mixtures of lhs entities in one relation."""

    def __init__(
        self,
        settings: Mixture,
        *,
        rows: ShardedRows,
        lhs: Candidates,
        rhs: Candidates,
        clusters: Clusters,
        edges: KnownEdges,
    ) -> None:
        """Joins embeddings with edges.

        Args:
          settings: The numbers of clusters and neighbours, and the smoothing.
          rows: The embeddings.
          lhs: All entities of the lhs type.
          rhs: All entities of the rhs type.
          clusters: Theirs.
          edges: The training edges; the number of a query is a row of the lhs.
        """
        self._settings = settings
        self._rows = rows
        self._lhs = lhs
        self._rhs = rhs
        self._clusters = clusters
        self._edges = edges

    @torch.no_grad()
    def represent(self, entities: Tensor) -> EntityMixture:
        """Returns the mixtures of lhs entities; a collective.

        Args:
          entities: [Q] int64, rows of the lhs type, ascending, each once.
        """
        edges = self._weighted_edges(entities)
        num_clusters = len(self._clusters.centroids)
        num_kept = min(self._settings.num_interests, num_clusters)
        cluster = self._clusters.of_row[edges.target]
        place = edges.entity * num_clusters + cluster
        sums = torch.zeros(len(entities) * num_clusters)
        sums.index_add_(0, place, edges.weight)
        top = sums.view(len(entities), num_clusters).topk(num_kept, dim=1)

        # For each entity and cluster the place among those kept, or -1.
        kept = torch.full((len(entities), num_clusters), -1)
        kept.scatter_(
            1,
            top.indices,
            torch.arange(top.indices.numel()).view_as(kept[:, :num_kept]),
        )
        kept_place = kept.view(-1)[place]
        (used,) = torch.nonzero(kept_place >= 0, as_tuple=True)
        means = self._means(
            kept_place[used], edges.target[used], edges.weight[used], top.values
        )
        return EntityMixture(clusters=top.indices, weights=top.values, means=means)

    def _means(
        self, place: Tensor, target: Tensor, weight: Tensor, weights: Tensor
    ) -> Tensor:
        """Returns [Q, m, D]: at each place the weighted mean of targets."""
        distinct, inverse = torch.unique(target, return_inverse=True)
        vectors = self._rows.lookup(self._rhs.entity_type, distinct).cpu()
        sums = torch.zeros(weights.numel(), vectors.shape[1])
        sums.index_add_(0, place, vectors[inverse] * weight[:, None])
        divisors = torch.where(weights > 0, weights, 1.0)
        return sums.view(*weights.shape, -1) / divisors[..., None]

    def _weighted_edges(self, entities: Tensor) -> _WeightedEdges:
        smoothing = self._settings.smoothing
        own = torch.arange(len(entities))
        parts = [self._edges_of(own, entities, 1.0 - smoothing)]
        if smoothing > 0:
            neighbors = self._neighbors(entities)
            for column in neighbors.unbind(1):
                (found,) = torch.nonzero(column >= 0, as_tuple=True)
                share = smoothing / neighbors.shape[1]
                parts.append(self._edges_of(found, column[found], share))
        return _WeightedEdges(
            entity=torch.cat([part.entity for part in parts]),
            target=torch.cat([part.target for part in parts]),
            weight=torch.cat([part.weight for part in parts]),
        )

    def _edges_of(
        self, positions: Tensor, entities: Tensor, share: float
    ) -> _WeightedEdges:
        """Returns the edges of entities; each entity divides its share equally."""
        place, target = self._edges.find(entities, 0, len(self._rhs))
        degrees = torch.bincount(place, minlength=len(entities))
        return _WeightedEdges(
            entity=positions[place], target=target, weight=share / degrees[place]
        )

    def _neighbors(self, entities: Tensor) -> Tensor:
        """Returns [Q, num_neighbors] int64, rows; -1 where there are no more."""
        cosine = Comparison(Comparator.COSINE)
        vectors = self._rows.lookup(self._lhs.entity_type, entities)
        positions = torch.arange(len(entities))
        itself = KnownEdges(positions * len(self._lhs) + entities, len(self._lhs))
        return find_top(
            self._rows,
            self._lhs,
            cosine,
            queries=cosine.prepare_queries(vectors),
            numbers=positions,
            left_out=itself,
            num_wanted=self._settings.num_neighbors,
        ).cpu()
