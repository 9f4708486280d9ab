# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Masks the candidates that a configuration wants masked."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twhin.config.settings import KnownEdges as MaskKnown
from twhin.training import masked_pairs
from twhin.training.known_edges import KnownEdges
from twhin.training.masked_pairs import Candidates, SideEdges


class KnownMasks:
    """Finds the candidates of edges that are known to be right."""

    def __init__(self, mask_known: MaskKnown, known_edges: KnownEdges | None) -> None:
        """Keeps what is known.

        Args:
          mask_known: Which candidates are masked.
          known_edges: All training edges; needed for those of TRAIN.

        Raises:
          ValueError: They are needed and not given.
        """
        if mask_known is MaskKnown.TRAIN and known_edges is None:
            raise ValueError("mask_known TRAIN needs known_edges")
        self._mask_known = mask_known
        self._known_edges = known_edges

    def find(
        self, edges: SideEdges, candidates: Candidates, makers: SideEdges
    ) -> Tensor:
        """Returns the masked pairs (edge, column), [2, M] int64, distinct.

        Args:
          edges: The edges.
          candidates: What the edges of each chunk are compared with.
          makers: The edges of the chunks, `edges` among them.
        """
        match self._mask_known:
            case MaskKnown.SELF:
                pairs = masked_pairs.find_self(edges, candidates)
            case MaskKnown.BATCH:
                pairs = masked_pairs.find_in_batch(edges, candidates, makers)
            case MaskKnown.TRAIN:
                assert self._known_edges is not None
                pairs = masked_pairs.find_in_train(edges, candidates, self._known_edges)
        return stack(pairs)

    def find_all(self, edges: SideEdges) -> Tensor:
        """Returns the masked pairs (edge, row) where all rows are candidates."""
        match self._mask_known:
            case MaskKnown.SELF:
                pairs = masked_pairs.find_all_self(edges)
            case MaskKnown.BATCH:
                pairs = masked_pairs.find_all_in_batch(edges)
            case MaskKnown.TRAIN:
                assert self._known_edges is not None
                pairs = masked_pairs.find_all_in_train(edges, self._known_edges)
        return stack(pairs)


def stack(pairs: tuple[NDArray[np.int64], NDArray[np.int64]]) -> Tensor:
    """Returns pairs as [2, M] int64."""
    return torch.from_numpy(np.stack(pairs))
