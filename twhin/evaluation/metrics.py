# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""From ranks to metrics.

Letters in shapes: E held-out edges, L lists: the lhs entities that rank.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from twhin.evaluation.edges import Integers

Numbers = npt.NDArray[np.float64]


def link_prediction_metrics(ranks: Numbers, hits_at: Sequence[int]) -> dict[str, float]:
    """Returns the means over edges of functions of the rank r.

        mrr: 1 / r        mr: r        hits@K: 1 if r <= K, otherwise 0

    Reference: Bordes et al., "Translating Embeddings for Modeling
    Multi-relational Data", NIPS 2013, section 4.

    Args:
      ranks: [E] float64, at least 1; E is at least 1.
      hits_at: The K.
    """
    metrics = {"mrr": float((1.0 / ranks).mean()), "mr": float(ranks.mean())}
    for cut in hits_at:
        metrics[f"hits@{cut}"] = float((ranks <= cut).mean())
    return metrics


def retrieval_scores(ranks: Numbers, lists: Integers, cut: int) -> dict[str, Numbers]:
    """Returns the metrics of each list at one cut K.

    With H the held-out entities of a list and r their ranks:

        recall    |{r <= K}| / |H|
        ndcg      sum over r <= K of 1 / log2(1 + r), divided by
                  the sum over i from 1 to min(K, |H|) of 1 / log2(1 + i)
        hit_rate  1 if any r <= K, otherwise 0

    Reference: Jarvelin and Kekalainen, "Cumulated Gain-based Evaluation of IR
    Techniques", TOIS 2002, with gains 0 and 1.

    Args:
      ranks: [E] float64, at least 1.
      lists: [E] int64, the list of each; every number in [0, L) occurs.
      cut: K.

    Returns:
      By name [L] float64.
    """
    held = np.bincount(lists)
    found = ranks <= cut
    num_found = np.bincount(lists, weights=found)
    gains = np.bincount(lists, weights=found / np.log2(1.0 + ranks))
    ideal = np.cumsum(1.0 / np.log2(np.arange(2, cut + 2)))
    return {
        "recall": num_found / held,
        "ndcg": gains / ideal[np.minimum(held, cut) - 1],
        "hit_rate": (num_found > 0).astype(np.float64),
    }
