# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Rows that start near those of their neighbours.

From random rows x_0, hop by hop along training edges in both directions,

    x_k(i) = unit( sum over edges {i, j} of w x_(k-1)(j) / sqrt(d_j) )
    x(i)   = s unit( x_0(i) / |x_0(i)| + x_1(i) + ... + x_K(i) )

with unit(v) = v / |v|, w the edge's weight times that of its relation, and d_j the
sum of w over the edges of j. Entities without edges keep their direction. Relations
are not told apart: they start as operators that change little.

Reference: Chen et al., "Fast and Accurate Network Embeddings via Very Sparse Random
Projection" (FastRP), arXiv 1908.11512, with Gaussian projections.

Letters in shapes: n rows of a part, d columns of a part.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from twhin.checkpoint.table_part import TablePart
from twhin.graph.schema import GraphSchema
from twhin.training.entity_tables import EntityTables
from twhin.training.job import Job
from twhin.training.row_neighbors import RowNeighbors, find_neighbors


def add_neighborhoods(
    tables: EntityTables,
    *,
    files: Sequence[str],
    schema: GraphSchema,
    relation_weights: Sequence[float],
    num_hops: int,
    norm: float,
    job: Job,
    max_lookup_bytes: int = 1 << 25,
) -> None:
    """Turns random rows x_0 into x; a collective.

    Every rank reads all edges. While it works it takes, beside its rows, twice as
    much in single precision, 20 bytes for each edge into one of its rows, and 12 for
    each row of the graph.

    Args:
      tables: The tables; their rows are changed in place.
      files: The training edges.
      schema: Entity types and relations.
      relation_weights: The factor on each relation's edges, in order of the schema.
      num_hops: K, at least 1.
      norm: s.
      job: The ranks.
      max_lookup_bytes: The bound on the rows of neighbours that are looked up at a
        time.

    Raises:
      DataError: An edge file is damaged.
    """
    names = [entity_type.name for entity_type in schema.entity_types]
    lookup_size = max(1, max_lookup_bytes // (4 * tables.embedding_dim))
    parts = [_Part(name, part) for name in names for part in tables.local_blocks(name)]
    neighbors = find_neighbors(
        [(part.entity_type, part.range) for part in parts],
        files=files,
        schema=schema,
        relation_weights=relation_weights,
    )
    for hop in range(num_hops + 1):
        if hop:
            sums = _sum_neighbors(tables, parts, neighbors, names, lookup_size, job)
            for part, values in zip(parts, sums, strict=True):
                part.rows.copy_(values)
        _divide_by_norms([part.rows for part in parts], parts, schema, job)
        for part in parts:
            part.total += part.rows
    _divide_by_norms([part.total for part in parts], parts, schema, job)
    for part in parts:
        part.rows.copy_(norm * part.total)


class _Part:
    """Some rows of a table, or some of their columns.

    Attributes:
      entity_type: The table.
      range: The rows of the table that these are.
      columns: The columns.
      rows: [n, d] float32 or float16, x_k as a view.
      total: [n, d] float32, the sum over k.
    """

    def __init__(self, entity_type: str, part: TablePart) -> None:
        num_rows, num_columns = part.rows.shape
        self.entity_type = entity_type
        self.range = range(part.start, part.start + num_rows)
        self.columns = slice(part.column_start, part.column_start + num_columns)
        self.rows = part.rows
        self.total = torch.zeros_like(part.rows, dtype=torch.float32)


def _sum_neighbors(
    tables: EntityTables,
    parts: Sequence[_Part],
    neighbors: Sequence[Mapping[str, RowNeighbors]],
    names: Sequence[str],
    size: int,
    job: Job,
) -> list[Tensor]:
    """Returns for each part the sums over its rows' neighbours, [n, d] float32.

    Up to `size` neighbours are looked up at a time.
    """
    sums = [torch.zeros_like(part.total) for part in parts]
    pieces = [
        (number, name, slice(start, start + size))
        for number, of_part in enumerate(neighbors)
        for name, pairs in of_part.items()
        for start in range(0, len(pairs.rows), size)
    ]
    none: Mapping[str, Tensor] = dict.fromkeys(names, torch.empty(0, dtype=torch.int64))
    for turn in range(_max_over_ranks(len(pieces), job)):
        # A lookup is a collective: those who are done look nothing up.
        if turn >= len(pieces):
            tables.lookup(none)
            continue
        number, name, chosen = pieces[turn]
        pairs = neighbors[number][name]
        found = tables.lookup({**none, name: pairs.rows[chosen]})[name].detach()
        factors = pairs.factors[chosen, None].to(found.device)
        places = pairs.places[chosen].to(found.device)
        own = found[:, parts[number].columns]
        sums[number].index_add_(0, places, own * factors)
    return sums


def _max_over_ranks(count: int, job: Job) -> int:
    counts = torch.zeros(job.world_size, dtype=torch.int64)
    counts[job.rank] = count
    return int(job.sum_over_ranks(counts).max())


def _divide_by_norms(
    values: Sequence[Tensor], parts: Sequence[_Part], schema: GraphSchema, job: Job
) -> None:
    """Divides rows of the parts, [n, d] each, by the norms of whole rows in place.

    A table may be divided by columns, so that no rank has a whole row. Rows of 0
    stay.
    """
    for entity_type in schema.entity_types:
        squares = torch.zeros(entity_type.num_entities)
        own = [
            (slice(part.range.start, part.range.stop), rows)
            for part, rows in zip(parts, values, strict=True)
            if part.entity_type == entity_type.name
        ]
        for place, rows in own:
            squares[place] += rows.float().square().sum(1).cpu()
        norms = job.sum_over_ranks(squares).sqrt_()
        norms[norms == 0.0] = 1.0
        for place, rows in own:
            rows /= norms[place, None].to(rows.device)
