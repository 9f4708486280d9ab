# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Vectors of entities that a bundle does not have, from the ids that they touched.

source = LocalSource("run/bundle")
bought = Touched(relation="buys", unseen=[0, 0, 1], ids=["tea", "cup", "cup"])
vectors = represent(source, 2, [bought])
source.retrieve("user", vectors=vectors.values, relation="buys", k=20)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twhin.client.local_source import LocalSource
from twhin.client.remote_requests import get_relation
from twhin.client.results import Vectors
from twhin.client.source import EntityIds, SideName, check_ids
from twhin.retrieval import unseen
from twhin.side import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """Edges of one relation between entities without a vector and known ones.

    Attributes:
      relation: The name of the relation.
      side: The side on which the entities without a vector stand.
      unseen: [E] which of them, from 0.
      ids: [E] ids on the other side; unknown ones are left out.
      weights: [E], at least 0; None for 1 each.
    """

    relation: str
    side: SideName = "lhs"
    unseen: npt.ArrayLike
    ids: EntityIds
    weights: npt.ArrayLike | None = None


def represent(
    source: LocalSource, num_unseen: int, touched: Sequence[Touched]
) -> Vectors:
    """Returns the vectors that fit the edges best; see `twhin.retrieval.unseen`.

    Args:
      source: The bundle.
      num_unseen: n.
      touched: Edges of any relations.

    Returns:
      n vectors; `found` is false where an entity touched nothing that is known.

    Raises:
      RequestError: The bundle has no such relation.
      TypeError: Ids are of the wrong type.
      ValueError: A number is not of [0, n).
      BundleError: A relation cannot rank the lhs.
    """
    bundle = source.bundle
    averaged = unseen.average(
        bundle, num_unseen, [_edges(source, each) for each in touched]
    )
    return Vectors(
        values=averaged.values, found=averaged.weights > 0, version=bundle.version
    )


def _edges(source: LocalSource, touched: Touched) -> unseen.UnseenEdges:
    types = get_relation(source.describe(), touched.relation)
    known = types[1 if touched.side == "lhs" else 0]
    is_string = source.bundle.directories[known].is_string
    ids = check_ids(touched.ids, is_string=is_string, where=f"ids of {known!r}")
    return unseen.UnseenEdges(
        relation=touched.relation,
        entity_type=known,
        side=Side(touched.side),
        unseen=np.asarray(touched.unseen, np.int64),
        rows=source.bundle.find(known, ids),
        weights=None
        if touched.weights is None
        else np.asarray(touched.weights, np.float32),
    )
