# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""How well entities are found that have few training edges, and many.

The rhs entities of held-out edges are ranked as in link prediction, filtered, and
by popularity. The edges of a relation are then divided by the degree of one of
their ends into buckets of about equal size.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from twhin.evaluation.candidates import Candidates
from twhin.evaluation.dense_tables import DenseTables
from twhin.evaluation.edges import Integers, concatenate, read_parts, take
from twhin.evaluation.metrics import Numbers
from twhin.evaluation.prepared_ranking import PreparedRanking, PreparedRankingBuilder
from twhin.evaluation.ranker import Ranker
from twhin.evaluation.ranking import make_ranking, split_by_types
from twhin.evaluation.sharded_rows import ShardedRows
from twhin.graph.edge_columns import EdgeColumns
from twhin.graph.manifest import SPLITS
from twhin.report.entity_sample import EntitySample
from twhin.report.run_files import RunFiles
from twhin.side import Side

HITS_AT = 10
_MAX_BUCKETS = 5
_MIN_EDGES = 30
_MAX_RELATIONS = 6
_MAX_HELD_OUT = 10_000
# A larger graph or model takes more time and memory than a report is worth.
_MAX_TRAIN_EDGES = 20_000_000
_MAX_NUMBERS = 1 << 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Held-out edges of which one end has a degree in a range.

    Attributes:
      low: The smallest degree.
      high: The largest.
      num_edges: How many edges there are.
      hits: The share of them whose rhs entity is among the first HITS_AT.
      popularity_hits: The same for the order by popularity.
    """

    low: int
    high: int
    num_edges: int
    hits: float
    popularity_hits: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationBuckets:
    """The buckets of a relation.

    Attributes:
      relation: Its name.
      lhs: By the degree of the entity that asks, ascending.
      rhs: By the degree of the entity that is to be found.
    """

    relation: str
    lhs: tuple[Bucket, ...]
    rhs: tuple[Bucket, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _RankedEdges:
    """E edges, their ranks [E] by the model and by popularity."""

    edges: EdgeColumns
    model: Numbers
    popularity: Numbers


def is_small_enough(run: RunFiles) -> bool:
    """Returns whether the run is one for which `bucket_by_degree` is worth it."""
    manifest = run.graph.manifest
    rows = sum(each.num_entities for each in run.graph.schema.entity_types)
    return (
        manifest is not None
        and manifest.splits["train"].num_edges <= _MAX_TRAIN_EDGES
        and rows * run.reader.embedding_dim <= _MAX_NUMBERS
    )


def bucket_by_degree(
    run: RunFiles, samples: dict[str, EntitySample], split: str
) -> list[RelationBuckets]:
    """Returns the buckets of the relations with the most held-out edges.

    Args:
      run: The run.
      samples: For the degrees of all entity types.
      split: "valid" or "test"; without edges there are no buckets.

    Raises:
      CheckpointError, DataError: A file is damaged.
    """
    schema = run.graph.schema
    edges = concatenate(list(read_parts(run.graph.edge_files(split), schema)))
    if len(edges) > _MAX_HELD_OUT:
        drawn = np.random.default_rng(0).choice(
            len(edges), _MAX_HELD_OUT, replace=False
        )
        edges = take(edges, np.sort(drawn))
    counts = np.bincount(edges.rel, minlength=len(schema.relations))
    shown = np.flatnonzero(counts >= _MIN_EDGES)
    shown = np.sort(shown[np.argsort(-counts[shown], kind="stable")][:_MAX_RELATIONS])
    edges = take(edges, np.isin(edges.rel, shown))
    found = {}
    for ranked in _rank(run, edges):
        for rel in np.unique(ranked.edges.rel).tolist():
            relation = schema.relations[rel]
            make = partial(_make_buckets, ranked, ranked.edges.rel == rel)
            found[rel] = RelationBuckets(
                relation=relation.name,
                lhs=make(samples[relation.lhs].degrees[ranked.edges.lhs]),
                rhs=make(samples[relation.rhs].degrees[ranked.edges.rhs]),
            )
    return [found[rel] for rel in sorted(found)]


def _rank(run: RunFiles, edges: EdgeColumns) -> Iterator[_RankedEdges]:
    """Yields the edges of each pair of entity types with their ranks."""
    if not len(edges):
        return
    schema = run.graph.schema
    device = torch.device("cpu")
    tables = DenseTables(
        schema=schema,
        embedding_dim=run.reader.embedding_dim,
        read_rows=run.reader.read_rows,
        device=device,
    )
    names = [each.name for each in schema.entity_types]
    ranker = Ranker(
        model=run.load_model(),
        comparator=run.config.settings.model.comparator,
        rows=ShardedRows(tables=tables, entity_types=names, device=device),
    )
    for prepared in _prepare(run, edges):
        ranking = prepared.ranking
        ranks = ranker.rank(ranking, prepared.known, HITS_AT)
        yield _RankedEdges(
            edges=EdgeColumns(
                lhs=ranking.query_known[ranking.query],
                rel=ranking.rel,
                rhs=ranking.positive,
                weight=None,
            ),
            model=ranks.filtered,
            popularity=prepared.popularity.filtered,
        )


def _prepare(run: RunFiles, edges: EdgeColumns) -> list[PreparedRanking]:
    """Returns what to rank, with the known edges of the whole graph."""
    schema = run.graph.schema
    builders = []
    for part in split_by_types(edges, schema):
        name = schema.relations[int(part.rel[0])].rhs
        candidates = Candidates(entity_type=name, num_rows=schema.num_entities(name))
        ranking = make_ranking(
            side=Side.RHS, edges=part, schema=schema, candidates=candidates
        )
        builders.append(PreparedRankingBuilder(ranking, schema))
    for split in SPLITS:
        for part in read_parts(run.graph.edge_files(split), schema):
            for builder in builders:
                builder.add(part, train=split == "train", known=True)
    return [builder.build() for builder in builders]


def _make_buckets(
    ranked: _RankedEdges, is_ours: np.ndarray, degrees: Integers
) -> tuple[Bucket, ...]:
    """Divides the edges of a relation.

    Args:
      ranked: E edges.
      is_ours: [E] bool, whether each is of the relation.
      degrees: [E] int64, of one end.
    """
    degrees = degrees[is_ours]
    model = ranked.model[is_ours] <= HITS_AT
    popularity = ranked.popularity[is_ours] <= HITS_AT
    shares = np.arange(1, _MAX_BUCKETS) / _MAX_BUCKETS
    cuts = np.unique(np.quantile(degrees, shares, method="lower"))
    # A bucket has the degrees above one cut and up to the next.
    bounds = [-1, *cuts.tolist(), int(degrees.max())]
    buckets = []
    for low, high in itertools.pairwise(bounds):
        inside = (degrees > low) & (degrees <= high)
        if inside.any():
            buckets.append(
                Bucket(
                    low=int(degrees[inside].min()),
                    high=int(degrees[inside].max()),
                    num_edges=int(inside.sum()),
                    hits=float(model[inside].mean()),
                    popularity_hits=float(popularity[inside].mean()),
                )
            )
    return tuple(buckets)
