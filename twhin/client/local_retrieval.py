# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Retrieval and scoring over a bundle in this process."""

from typing import Any

import numpy as np
import numpy.typing as npt

from twhin.bundle.bundle import Bundle
from twhin.client.results import Neighbors, Scores
from twhin.retrieval import relation_query
from twhin.retrieval.retriever import Retriever
from twhin.side import Side


class LocalRetrieval:
    """The retrieving half of `LocalSource`, for one version."""

    def __init__(self, bundle: Bundle) -> None:
        """Maps the indexes.

        Raises:
          BundleError: An index is damaged.
        """
        self._bundle = bundle
        self._retriever = Retriever(bundle)

    def retrieve(
        self,
        entity_type: str,
        ids: Any,
        *,
        vectors: npt.NDArray[np.floating[Any]] | None,
        relation: str | None,
        side: str,
        k: int,
        exclude: Any,
        min_score: float | None,
        exact: bool,
    ) -> Neighbors:
        """Does `VectorSource.retrieve`; its names are known.

        Raises:
          ValueError: The queries are of another type than the relation's, or k
            is below 1.
        """
        bundle, returned = self._bundle, entity_type
        if k < 1:
            raise ValueError(f"k: is {k}; allowed: at least 1")
        if relation is not None:
            known = relation_query.known_type(bundle, relation, Side(side))
            returned = relation_query.candidate_type(bundle, relation, Side(side))
            if entity_type != known:
                raise ValueError(
                    f"entity_type: is {entity_type!r}; allowed: {known!r}, the other "
                    f"side of {relation!r}"
                )
        if vectors is None:
            rows = bundle.find(entity_type, ids)
            found = rows >= 0
            vectors = bundle.vectors(entity_type, rows[found])
        else:
            found = np.ones(len(vectors), np.bool_)
        query = relation_query.make_query(
            bundle, relation, Side(side), np.asarray(vectors, np.float32)
        )
        neighbors = self._retriever.search(
            returned,
            query,
            k,
            exclude=None if exclude is None else bundle.find(returned, exclude),
            min_score=min_score,
            exact=exact,
        )
        counts = np.zeros(len(found), np.int64)
        counts[found] = neighbors.counts
        taken = np.arange(neighbors.rows.shape[1]) < neighbors.counts[:, None]
        return Neighbors(
            ids=bundle.ids(returned, neighbors.rows[taken]),
            scores=neighbors.scores[taken],
            offsets=np.concatenate(([0], counts.cumsum())),
            version=bundle.version,
        )

    def score(self, relation: str, lhs: Any, rhs: Any) -> Scores:
        """Does `VectorSource.score`; the relation is known."""
        bundle = self._bundle
        found = bundle.relations[relation]
        row = bundle.find(found.lhs, lhs)
        rows = bundle.find(found.rhs, rhs)
        values = np.full(len(rows), np.nan, np.float32)
        if row[0] >= 0:
            query = relation_query.make_query(
                bundle, relation, Side.RHS, bundle.vectors(found.lhs, row)
            )
            values = relation_query.score_rows(bundle, query, found.rhs, rows)
        return Scores(values=values, version=bundle.version)
