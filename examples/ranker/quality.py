# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""How good predicted chances are: AUC, and the relative cross entropy.

Letters in shapes: n pairs.
"""

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]


def area_under_curve(logits: Numbers, labels: Numbers) -> float:
    """Returns the chance that a pair with label 1 scores above one with label 0.

    Ties count half.

    Args:
      logits: [n] float64.
      labels: [n] float64, 1 and 0, both of them.
    """
    _, place, counts = np.unique(logits, return_inverse=True, return_counts=True)
    # The mean rank of each value, from 1 on.
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[place]
    num_positive = labels.sum()
    num_negative = len(labels) - num_positive
    above = (ranks * labels).sum() - num_positive * (num_positive + 1) / 2
    return float(above / (num_positive * num_negative))


def cross_entropy(logits: Numbers, labels: Numbers) -> float:
    """Returns the mean of -log p of what came true, p = 1 / (1 + exp(-logit))."""
    return float((np.logaddexp(0.0, logits) - labels * logits).mean())


def relative_cross_entropy(logits: Numbers, labels: Numbers) -> float:
    """Returns how much better than the base rate, in percent.

        RCE = 100 (CE(base rate) - CE(model)) / CE(base rate)

    The base rate is the mean of the labels. 0 is as good as to know nothing.

    Reference: El-Kishky et al., "TwHIN", arXiv 2202.05387, section 5.2.
    """
    base = labels.mean()
    of_base = cross_entropy(np.full_like(labels, np.log(base / (1 - base))), labels)
    return 100.0 * (of_base - cross_entropy(logits, labels)) / of_base
