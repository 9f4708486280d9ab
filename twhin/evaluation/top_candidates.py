# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The best candidates of queries, over tables that are divided over ranks.

Letters in shapes: Q queries, N candidates of a block, K the width of prepared
vectors, L candidates that are wanted.
"""

import torch
from torch import Tensor

from twhin.evaluation.candidates import Candidates
from twhin.evaluation.comparison import Comparison
from twhin.evaluation.known_edges import KnownEdges
from twhin.evaluation.sharded_rows import ShardedRows

_TILE_QUERIES = 512
_TILE_CANDIDATES = 8192


@torch.no_grad()
def find_top(
    rows: ShardedRows,
    candidates: Candidates,
    comparison: Comparison,
    *,
    queries: Tensor,
    numbers: Tensor,
    left_out: KnownEdges,
    num_wanted: int,
) -> Tensor:
    """Returns the best candidates of each query, the best first; a collective.

    Args:
      rows: The embeddings.
      candidates: What is searched.
      comparison: How queries are compared with them.
      queries: [Q, K] float32, prepared.
      numbers: [Q] int64, the number of each query in `left_out`.
      left_out: Candidates that are not wanted.
      num_wanted: L.

    Returns:
      [Q, L] int64 numbers of candidates; -1 where there are no more, or where the
      score is not a number.
    """
    scores = queries.new_full((len(queries), num_wanted), -torch.inf)
    found = torch.full_like(scores, -1, dtype=torch.int64)
    numbers = numbers.to(queries.device)
    for block in rows.blocks(candidates, _TILE_CANDIDATES):
        prepared = comparison.prepare_candidates(block.rows)
        for start in range(0, len(queries), _TILE_QUERIES):
            tile = slice(start, start + _TILE_QUERIES)
            new = comparison.scores(queries[tile], prepared)
            unwanted = left_out.find(
                numbers[tile], block.start, block.start + len(prepared)
            )
            new[unwanted] = -torch.inf
            top = new.topk(min(num_wanted, len(prepared)), dim=1)
            scores[tile], found[tile] = _merge(
                torch.cat([scores[tile], top.values], dim=1),
                torch.cat([found[tile], top.indices + block.start], dim=1),
                num_wanted,
            )
    scores, found = _merge(
        torch.cat(rows.all_gather(scores), dim=1),
        torch.cat(rows.all_gather(found), dim=1),
        num_wanted,
    )
    return torch.where(scores > -torch.inf, found, -1)


def _merge(scores: Tensor, found: Tensor, num_wanted: int) -> tuple[Tensor, Tensor]:
    """Returns the L best of more candidates, [Q, L] scores and numbers."""
    top = scores.topk(num_wanted, dim=1)
    return top.values, found.gather(1, top.indices)
