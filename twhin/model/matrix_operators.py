# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Operators that multiply embeddings by a matrix.

Letters in shapes: B edges, R relations, P parameters of a relation, D embedding
dimension.
"""

import math

import torch
from torch import Tensor

from twhin.model.relation_operator import Query, RelationOperator, of_edges
from twhin.scoring import Comparator

# Edges of one relation are multiplied by its matrix in blocks of this many.
_BLOCK = 32


class LinearOperator(RelationOperator):
    """R x with a matrix R, the identity at first.

    Reference: Nickel et al., "A Three-Way Model for Collective Learning on
    Multi-Relational Data" (RESCAL), ICML 2011.
    """

    def initialize(self, parameters: Tensor, generator: torch.Generator) -> None:
        """The identity."""
        dim = math.isqrt(parameters.shape[1])
        parameters.copy_(torch.eye(dim, device=parameters.device).flatten())

    def apply(self, x: Tensor, parameters: Tensor, rel: Tensor) -> Tensor:
        """See `RelationOperator`."""
        return _multiply_matrices(x, _matrices(parameters, x.shape[1]), rel)

    def transpose(
        self, x: Tensor, parameters: Tensor, rel: Tensor, comparator: Comparator
    ) -> Query:
        """(R y) . x = y . (R^T x)."""
        transposed = _matrices(parameters, x.shape[1]).transpose(1, 2)
        return Query(vectors=_multiply_matrices(x, transposed, rel))


class AffineOperator(RelationOperator):
    """R x + r, from the identity and 0; parameters are R row by row, then r."""

    def initialize(self, parameters: Tensor, generator: torch.Generator) -> None:
        """The identity, and a translation by 0."""
        dim = math.isqrt(parameters.shape[1])
        parameters.zero_()
        parameters[:, : dim * dim] = torch.eye(dim, device=parameters.device).flatten()

    def apply(self, x: Tensor, parameters: Tensor, rel: Tensor) -> Tensor:
        """See `RelationOperator`."""
        dim = x.shape[1]
        matrices = _matrices(parameters[:, : dim * dim], dim)
        translation = of_edges(parameters[:, dim * dim :], rel)
        return _multiply_matrices(x, matrices, rel) + translation

    def transpose(
        self, x: Tensor, parameters: Tensor, rel: Tensor, comparator: Comparator
    ) -> Query:
        """(R y + r) . x = y . (R^T x) + r . x."""
        dim = x.shape[1]
        transposed = _matrices(parameters[:, : dim * dim], dim).transpose(1, 2)
        translation = of_edges(parameters[:, dim * dim :], rel)
        return Query(
            vectors=_multiply_matrices(x, transposed, rel),
            bias=(translation * x).sum(-1),
        )


def _matrices(parameters: Tensor, dim: int) -> Tensor:
    """Returns [R, D, D] of [R, D * D]."""
    return parameters.reshape(-1, dim, dim)


def _multiply_matrices(x: Tensor, matrices: Tensor, rel: Tensor) -> Tensor:
    """Returns [B, D]: row e is matrices[rel[e]] times x[e].

    Edges are laid out by relation in blocks of `_BLOCK`, the last block of a
    relation padded with zeros, so that one batched product serves all.
    """
    num_relations, dim = matrices.shape[0], x.shape[1]
    counts = torch.bincount(rel, minlength=num_relations)
    num_blocks = (counts + _BLOCK - 1) // _BLOCK
    first_block = num_blocks.cumsum(0) - num_blocks
    order = torch.argsort(rel, stable=True)
    sorted_rel = rel[order]
    place = torch.arange(rel.shape[0], device=rel.device)
    place = place - (counts.cumsum(0) - counts)[sorted_rel]
    slot = torch.empty_like(rel)
    slot[order] = first_block[sorted_rel] * _BLOCK + place
    block_rel = torch.repeat_interleave(num_blocks)
    padded = x.new_zeros(block_rel.shape[0] * _BLOCK, dim).index_copy(0, slot, x)
    blocks = padded.view(-1, _BLOCK, dim)
    return torch.bmm(blocks, matrices[block_rel].transpose(1, 2)).view(-1, dim)[slot]
