# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Which retrieval index a table gets."""

import logging
from collections.abc import Sequence
from enum import StrEnum

from twhin.bundle.kinds import IndexKind
from twhin.scoring import Comparator

_LOG = logging.getLogger(__name__)

# Up to here comparing with every row takes under a millisecond on one core.
_MAX_EXACT_ROWS = 200_000
# Larger half-precision lists are quantised.
_MAX_FP16_BYTES = 8 << 30
# A shard needs this many rows to train lists and codes.
_MIN_TRAINING_ROWS = 1024
_MAX_LISTS = 1 << 16
_LISTS_OF_ROOT = 4


class IndexChoice(StrEnum):
    """`twhin.v1.IndexChoice`."""

    AUTO = "auto"
    NONE = "none"
    EXACT = "exact"
    IVF_FP16 = "ivf_fp16"
    IVF_PQ = "ivf_pq"


def choose_index(
    choice: IndexChoice,
    *,
    entity_type: str,
    shard_rows: Sequence[int],
    dim: int,
    comparator: Comparator,
) -> IndexKind | None:
    """Returns the kind of index for a table, or None for exact search only.

    Args:
      choice: What the configuration asks for.
      entity_type: The name of the entity type, for warnings.
      shard_rows: The number of rows of each shard.
      dim: The dimension of the embeddings.
      comparator: The comparison.
    """
    num_rows = sum(shard_rows)
    if choice is IndexChoice.NONE or not num_rows:
        return None
    if comparator is Comparator.NEGATIVE_L1:
        if choice is not IndexChoice.AUTO:
            _LOG.warning(
                "index=%s entity_type=%s: not built: there is none for %s",
                choice,
                entity_type,
                comparator,
            )
        return None
    if choice is IndexChoice.EXACT:
        return IndexKind.EXACT_FP16
    if choice is IndexChoice.AUTO:
        if num_rows <= _MAX_EXACT_ROWS:
            return IndexKind.EXACT_FP16
        is_large = 2 * num_rows * dim > _MAX_FP16_BYTES
        kind = IndexKind.IVF_PQ if is_large else IndexKind.IVF_FP16
    else:
        kind = IndexKind(choice)
    if min(shard_rows) < _MIN_TRAINING_ROWS:
        _LOG.warning(
            "index=%s entity_type=%s: %s instead: a shard has %d rows, fewer than %d",
            choice,
            entity_type,
            IndexKind.EXACT_FP16,
            min(shard_rows),
            _MIN_TRAINING_ROWS,
        )
        return IndexKind.EXACT_FP16
    return kind


def choose_num_lists(shard_rows: Sequence[int]) -> int:
    """Returns the number of inverted lists of each shard's index.

    About four times the square root of a shard's rows, a power of two. Trained
    entities lie in many small clusters: finer lists hold less of what is not asked
    for, until choosing among them takes as long as visiting them.
    """
    root = (sum(shard_rows) / len(shard_rows)) ** 0.5
    lists = 1 << round(_LISTS_OF_ROOT * root).bit_length()
    return int(min(lists, min(shard_rows) // 32, _MAX_LISTS))
