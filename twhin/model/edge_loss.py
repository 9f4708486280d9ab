# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The loss of a step, composed of plain tensor operations.

It is the reference for `fused_edge_loss`, and serves what that does not.

Letters in shapes: B edges of a group, C edges of a chunk, P chunks, N drawn
negatives of a chunk, D embedding dimension.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from twhin.config.settings import Loss
from twhin.model.auxiliary_loss import auxiliary_loss
from twhin.model.edge_group import EdgeGroup, GroupSide
from twhin.model.losses import LossFunction, make_loss
from twhin.model.relation_model import RelationModel
from twhin.model.relation_operator import Query
from twhin.model.weighted_edges import WeightedEdges
from twhin.side import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeLoss:
    """The loss of a step on one rank.

    Attributes:
      total: Scalar to run backward from: both sides and the auxiliary loss,
        summed over edges, weighted.
      lhs: Scalar without gradient: the sum of ranking the lhs, weighted.
      rhs: Scalar without gradient: the sum of ranking the rhs, weighted.
    """

    total: Tensor
    lhs: Tensor
    rhs: Tensor


def edge_loss(
    rows: Mapping[str, Tensor],
    groups: Sequence[EdgeGroup],
    model: RelationModel,
    settings: Loss,
) -> EdgeLoss:
    """Returns the loss of a step.

    Args:
      rows: For every entity type [n, D] float32, the embeddings looked up.
      groups: The edges; may be empty.
      model: The relations.
      settings: The objective.
    """
    loss = make_loss(settings)
    anchor = sum((table.sum() * 0.0 for table in rows.values()), torch.zeros(()))
    total, lhs, rhs = anchor, anchor.detach().clone(), anchor.detach().clone()
    for group in groups:
        lhs_rows = group.lhs.segment.of(rows[group.lhs_type])
        rhs_rows = group.rhs.segment.of(rows[group.rhs_type])
        lhs_negatives = group.lhs.negatives.of(rows[group.lhs_type])
        rhs_negatives = group.rhs.negatives.of(rows[group.rhs_type])
        rhs_query = model.query(Side.RHS, lhs_rows, group.rel)
        lhs_query = model.query(Side.LHS, rhs_rows, group.rel)
        rhs_losses = _side_losses(
            group, group.rhs, rhs_query, rhs_rows, rhs_negatives, model, loss
        )
        lhs_losses = _side_losses(
            group, group.lhs, lhs_query, lhs_rows, lhs_negatives, model, loss
        )
        rhs_loss = settings.rhs_weight * (group.weight * rhs_losses).sum()
        lhs_loss = settings.lhs_weight * (group.weight * lhs_losses).sum()
        auxiliary = auxiliary_loss(
            model,
            WeightedEdges(lhs_rows, rhs_rows, group.rel, group.weight),
            settings,
        )
        total = total + rhs_loss + lhs_loss + auxiliary
        rhs, lhs = rhs + rhs_loss.detach(), lhs + lhs_loss.detach()
    return EdgeLoss(total=total, lhs=lhs, rhs=rhs)


def _side_losses(
    group: EdgeGroup,
    side: GroupSide,
    query: Query,
    positives: Tensor,
    negatives: Tensor,
    model: RelationModel,
    loss: LossFunction,
) -> Tensor:
    """Returns each edge's loss of ranking one side; [B] float32."""
    positive_scores = model.comparator.elementwise(query.vectors, positives)
    if query.bias is not None:
        positive_scores = positive_scores + query.bias
    if side.log_q is not None:
        positive_scores = positive_scores - side.log_q
    num_full = len(group) // group.chunk_size
    cut = num_full * group.chunk_size
    parts = []
    for start, stop, chunks in (
        (0, cut, range(num_full)),
        (cut, len(group), range(num_full, group.num_chunks)),
    ):
        if stop > start:
            scores, valid = _negative_scores(
                side, query, positives, negatives, model, start, stop, chunks
            )
            shape = scores.shape[:2]
            part = loss(positive_scores[start:stop].view(shape), scores, valid)
            parts.append(part.reshape(-1))
    return torch.cat(parts)


def _negative_scores(
    side: GroupSide,
    query: Query,
    positives: Tensor,
    negatives: Tensor,
    model: RelationModel,
    start: int,
    stop: int,
    chunks: range,
) -> tuple[Tensor, Tensor]:
    """Scores the negatives of the edges [start, stop), which fill `chunks`.

    Returns:
      [chunks, edges of a chunk, candidates] scores, and whether each counts.
    """
    num_chunks, dim = len(chunks), positives.shape[1]
    queries = query.vectors[start:stop].view(num_chunks, -1, dim)
    n = side.num_negatives
    if side.shared_negatives:
        drawn = negatives.expand(num_chunks, n, dim)
    else:
        drawn = negatives[chunks.start * n : chunks.stop * n].view(num_chunks, n, dim)
    scores = [model.comparator.pairwise(queries, drawn)]
    valid = [_valid(side.masked_negatives, start, stop, n, scores[0])]
    if side.negative_log_q is not None:
        log_q = side.negative_log_q[chunks.start : chunks.stop]
        scores[0] = scores[0] - log_q.unsqueeze(1)
    if side.masked_in_batch is not None:
        others = positives[start:stop].view(num_chunks, -1, dim)
        scores.append(model.comparator.pairwise(queries, others))
        size = others.shape[1]
        valid.append(_valid(side.masked_in_batch, start, stop, size, scores[1]))
        if side.log_q is not None:
            log_q = side.log_q[start:stop].view(num_chunks, 1, -1)
            scores[1] = scores[1] - log_q
    joined = torch.cat(scores, dim=-1)
    if query.bias is not None:
        joined = joined + query.bias[start:stop].view(num_chunks, -1, 1)
    return joined, torch.cat(valid, dim=-1)


def _valid(
    masked: Tensor, start: int, stop: int, num_candidates: int, scores: Tensor
) -> Tensor:
    """Returns a tensor like `scores`, false at the masked pairs."""
    valid = torch.ones(
        (stop - start) * num_candidates, dtype=torch.bool, device=scores.device
    )
    inside = (masked[0] >= start) & (masked[0] < stop)
    edges, candidates = masked[:, inside]
    valid[(edges - start) * num_candidates + candidates] = False
    return valid.view(scores.shape)
