# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The interface of a source of vectors: a server, or a bundle in this process."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from twhin.client.bundle_info import BundleInfo
from twhin.client.results import Neighbors, Scores, Vectors

# int64 ids as an array or a sequence, or strings.
EntityIds: TypeAlias = npt.NDArray[Any] | Sequence[int] | Sequence[str]
Dtype: TypeAlias = Literal["float32", "float16"]
SideName: TypeAlias = Literal["lhs", "rhs"]


class VectorSource(Protocol):
    """Answers from one version of a bundle at a time. Thread-safe.

    Every method raises `TypeError` for ids of the wrong type, and
    `KeyError` or `RequestError` (NOT_FOUND) for an unknown entity type or
    relation.
    """

    def describe(self) -> BundleInfo:
        """Returns tables and relations of the version that is current now."""

    def lookup(
        self, entity_type: str, ids: EntityIds, *, dtype: Dtype = "float32"
    ) -> Vectors:
        """Returns the vectors of entities of one type.

        Args:
          entity_type: The entity type.
          ids: n ids.
          dtype: The type of the numbers. float16 halves the bytes on the wire.
        """

    def lookup_many(
        self, groups: Mapping[str, EntityIds], *, dtype: Dtype = "float32"
    ) -> dict[str, Vectors]:
        """Returns the vectors of several entity types, all of one version."""

    def retrieve(
        self,
        entity_type: str,
        ids: EntityIds | None = None,
        *,
        vectors: npt.NDArray[np.floating[Any]] | None = None,
        relation: str | None = None,
        side: SideName = "rhs",
        k: int,
        exclude: EntityIds | None = None,
        min_score: float | None = None,
        exact: bool = False,
    ) -> Neighbors:
        """Returns the entities that score highest for each query.

        Args:
          entity_type: The entity type of the queries.
          ids: n queries by id. Exactly one of `ids` and `vectors` is given.
          vectors: [n, D] queries by vector, embeddings of `entity_type`.
          relation: The relation through which they are compared; None for the
            entities most like the queries among their own type.
          side: The side of the relation that is returned.
          k: The number of entities per query, at least 1.
          exclude: Entities of the returned type that no query gets.
          min_score: Entities with a lower score are left out.
          exact: Compares with every entity instead of using an index.
        """

    def score(self, relation: str, lhs: int | str, rhs: EntityIds) -> Scores:
        """Returns the scores of the edges from one lhs entity to n rhs entities."""

    def close(self) -> None:
        """Ends connections or mappings."""


def check_ids(ids: EntityIds, *, is_string: bool, where: str) -> Any:
    """Returns ids in the form in which they are sent: int64 array or strings.

    Raises:
      TypeError: The ids are of the other type.
    """
    if is_string:
        names = ids.tolist() if isinstance(ids, np.ndarray) else list(ids)
        if not all(isinstance(name, str) for name in names):
            raise TypeError(f"{where}: has ids that are no str; allowed: str")
        return names
    array = np.asarray(ids)
    if not array.size:
        return np.empty(0, np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise TypeError(
            f"{where}: has shape {array.shape} and type {array.dtype}; allowed: a "
            "sequence of int64"
        )
    return np.ascontiguousarray(array.astype(np.int64, copy=False))
