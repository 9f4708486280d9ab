# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Random looked-up rows and groups, for tests of the loss of a step."""

import torch
from torch import Tensor

from twhin.model.edge_group import EdgeGroup, GroupSide, Segment


def random_pairs(
    num_edges: int, num_candidates: int, generator: torch.Generator
) -> Tensor:
    """Returns [2, M] distinct pairs, about a fifth of all."""
    chosen = torch.rand(num_edges, num_candidates, generator=generator) < 0.2
    return chosen.nonzero().T.contiguous()


def own_pairs(num_edges: int, chunk_size: int) -> Tensor:
    """Returns [2, B]: each edge with its own place in its chunk."""
    edges = torch.arange(num_edges)
    return torch.stack((edges, edges % chunk_size))


class RandomStep:
    """Rows of the entity types "a" and "b", and groups a -> b and a -> a.

    Attributes:
      rows: [n, D] of each entity type, with gradient.
      groups: The two groups.
    """

    def __init__(
        self,
        *,
        num_edges: int,
        chunk_size: int,
        num_negatives: int,
        in_batch: bool,
        log_q: bool = False,
        shared: bool = False,
        dim: int = 4,
        num_relations: int = 3,
        dtype: torch.dtype = torch.float64,
        seed: int = 0,
    ) -> None:
        """Draws everything."""
        self._generator = torch.Generator().manual_seed(seed)
        self._num_edges = num_edges
        self._chunk_size = chunk_size
        self._num_negatives = num_negatives
        self._in_batch = in_batch
        self._log_q = log_q
        self._shared = shared
        self._sizes = {"a": 0, "b": 0}
        self.groups = [self._group("a", "b", num_relations)]
        self.groups.append(self._group("a", "a", num_relations))
        self.rows = {
            name: torch.randn(
                size, dim, generator=self._generator, dtype=dtype
            ).requires_grad_()
            for name, size in self._sizes.items()
        }

    def _group(self, lhs: str, rhs: str, num_relations: int) -> EdgeGroup:
        shape = (self._num_edges,)
        return EdgeGroup(
            lhs_type=lhs,
            rhs_type=rhs,
            rel=torch.randint(0, num_relations, shape, generator=self._generator),
            weight=torch.rand(shape, generator=self._generator) + 0.5,
            chunk_size=self._chunk_size,
            lhs=self._side(lhs),
            rhs=self._side(rhs),
        )

    def _side(self, name: str) -> GroupSide:
        num_chunks = -(-self._num_edges // self._chunk_size)
        num_drawn = self._num_negatives * (1 if self._shared else num_chunks)
        masked_in_batch = own_pairs(self._num_edges, self._chunk_size)
        return GroupSide(
            segment=self._segment(name, self._num_edges),
            negatives=self._segment(name, num_drawn),
            num_negatives=self._num_negatives,
            shared_negatives=self._shared,
            masked_negatives=random_pairs(
                self._num_edges, self._num_negatives, self._generator
            ),
            masked_in_batch=masked_in_batch if self._in_batch else None,
            log_q=self._uniform(self._num_edges) if self._log_q else None,
            negative_log_q=self._uniform(num_chunks, self._num_negatives)
            if self._log_q
            else None,
        )

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self._generator)

    def _segment(self, name: str, size: int) -> Segment:
        start = self._sizes[name]
        self._sizes[name] += size
        return Segment(start=start, stop=start + size)
