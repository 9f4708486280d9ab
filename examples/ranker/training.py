# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Trains one ranker and measures it."""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from examples.ranker import quality
from examples.ranker.batches import BatchMaker
from examples.ranker.cached_vectors import CachedVectors
from examples.ranker.labelled_pairs import LabelledPairs, PairSampler
from examples.ranker.ranker_model import RankerModel
from examples.ranker.ranking_graph import RankingGraph
from twhin.training.prefetch import Prefetcher

_BATCH_SIZE = 1024
_LEARNING_RATE = 2e-3
_MAX_EPOCHS = 12
_HELD_OUT = 0.1
_NUM_NEGATIVES = 4
# Pairs for the test are the same for every seed and every model.
_TEST_SEED = 1_000_003


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a ranker came to on the test edges.

    Attributes:
      auc: Area under the curve, in [0, 1].
      rce: Relative cross entropy in percent.
      num_epochs: The epochs of the model that was taken.
    """

    auc: float
    rce: float
    num_epochs: int


def train_ranker(
    graph: RankingGraph,
    vectors: tuple[CachedVectors, CachedVectors] | None,
    seed: int,
    *,
    learns_past: bool = False,
) -> Outcome:
    """Trains until the held-out loss rises, and measures the best model.

    Args:
      graph: The graph.
      vectors: Those of users and of items; None for a ranker without them.
      seed: Of the pairs, their order and the parameters: the same pairs with
        vectors and without.
      learns_past: Whether the past is learnt from as well, which is of use without
        vectors only: they have been made from it.

    Raises:
      RequestError: A server does not answer in time.
    """
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    sampler = PairSampler(graph, _NUM_NEGATIVES)
    pairs = sampler.draw(graph.learning, generator)
    order = generator.permutation(len(pairs))
    num_held_out = int(_HELD_OUT * len(pairs))
    held_out, learning = (
        pairs.take(order[:num_held_out]),
        pairs.take(order[num_held_out:]),
    )
    if learns_past:
        learning = learning.join(sampler.draw(graph.past, generator))
    test = sampler.draw(graph.test, np.random.default_rng(_TEST_SEED))
    maker = BatchMaker(graph, vectors)
    model = RankerModel(
        num_users=len(graph.user_ids),
        num_items=len(graph.item_ids),
        twhin_dim=None if vectors is None else vectors[0].dim,
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=_LEARNING_RATE)
    best_loss, best_epoch, best = np.inf, 0, model
    for epoch in range(1, _MAX_EPOCHS + 1):
        _train_epoch(model, optimizer, maker, learning, generator)
        loss = quality.cross_entropy(*_predict(model, maker, held_out))
        if loss >= best_loss:
            break
        best_loss, best_epoch, best = loss, epoch, copy.deepcopy(model)
    logits, labels = _predict(best, maker, test)
    return Outcome(
        auc=quality.area_under_curve(logits, labels),
        rce=quality.relative_cross_entropy(logits, labels),
        num_epochs=best_epoch,
    )


def _train_epoch(
    model: RankerModel,
    optimizer: torch.optim.Optimizer,
    maker: BatchMaker,
    pairs: LabelledPairs,
    generator: np.random.Generator,
) -> None:
    loss_function = nn.BCEWithLogitsLoss()
    source = maker.batches(pairs, _BATCH_SIZE, generator)
    # A thread asks for the vectors of later batches while this one is learnt.
    with Prefetcher(source) as batches:
        for batch in batches:
            optimizer.zero_grad()
            loss_function(model(batch), batch.label).backward()
            optimizer.step()


@torch.no_grad()
def _predict(
    model: RankerModel, maker: BatchMaker, pairs: LabelledPairs
) -> tuple[quality.Numbers, quality.Numbers]:
    """Returns the logits and the labels of pairs, each [n] float64."""
    logits, labels = [], []
    with Prefetcher(maker.batches(pairs, _BATCH_SIZE)) as batches:
        for batch in batches:
            logits.append(model(batch).double().numpy())
            labels.append(batch.label.double().numpy())
    return np.concatenate(logits), np.concatenate(labels)
