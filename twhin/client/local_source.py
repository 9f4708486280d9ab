# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A bundle in this process as a source of vectors: no server, nothing copied."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from twhin.bundle import optional_loops, versions
from twhin.bundle.bundle import Bundle
from twhin.client import remote_requests
from twhin.client.bundle_info import BundleInfo, TableInfo
from twhin.client.results import Neighbors, Scores, Vectors
from twhin.client.source import Dtype, EntityIds, SideName, check_ids

if TYPE_CHECKING:
    from twhin.client.local_retrieval import LocalRetrieval

_UNLIMITED = 2**31 - 1


class LocalSource:
    """A `VectorSource` over memory-mapped files.

    It stays with the version that was current when it was opened, until
    `refresh`. Retrieval needs faiss and scoring twhin.retrieval, which the
    client's wheel leaves out; lookups need neither.
    """

    def __init__(self, path: Path | str, *, compiled: bool = True) -> None:
        """Maps all shards; reads nothing yet.

        Args:
          path: The root of a bundle, or the folder of a version.
          compiled: Whether to compile lookups, where numba is installed: they take
            half of the time, and the process half a second more to begin with.

        Raises:
          BundleError: There is no bundle, or it is damaged.
        """
        if compiled:
            optional_loops.load()
        self._path = Path(path)
        self._bundle: Bundle | None = None
        self._retrieval: LocalRetrieval | None = None
        self._open()

    def __enter__(self) -> "LocalSource":
        """Returns self."""
        return self

    def __exit__(self, *error: object) -> None:
        """Closes the source."""
        self.close()

    @property
    def bundle(self) -> Bundle:
        """The mapped version."""
        if self._bundle is None:
            raise ValueError("the source is closed")
        return self._bundle

    def refresh(self) -> bool:
        """Maps the version that is current now; returns whether it is another.

        Raises:
          BundleError: It cannot be opened; the old one stays.
        """
        if versions.version_folder(self._path) == self.bundle.folder:
            return False
        self._open()
        return True

    def describe(self) -> BundleInfo:
        """See `VectorSource`."""
        bundle = self.bundle
        indexed = {index.entity_type for index in bundle.manifest.indexes}
        return BundleInfo(
            version=bundle.version,
            tables={
                entity_type: TableInfo(
                    num_rows=table.num_rows,
                    dim=table.dim,
                    row_format=str(table.row_format),
                    is_string=bundle.directories[entity_type].is_string,
                    hash_seed=bundle.directories[entity_type].hash_seed,
                    is_indexed=entity_type in indexed,
                )
                for entity_type, table in bundle.tables.items()
            },
            relations={
                name: (relation.lhs, relation.rhs)
                for name, relation in bundle.relations.items()
            },
            num_shards=bundle.num_shards,
            first_shard=0,
            end_shard=bundle.num_shards,
            max_ids=_UNLIMITED,
            max_queries=_UNLIMITED,
        )

    def lookup(
        self, entity_type: str, ids: EntityIds, *, dtype: Dtype = "float32"
    ) -> Vectors:
        """See `VectorSource`."""
        return _lookup(self.bundle, entity_type, ids, dtype)

    def lookup_many(
        self, groups: Mapping[str, EntityIds], *, dtype: Dtype = "float32"
    ) -> dict[str, Vectors]:
        """See `VectorSource`."""
        bundle = self.bundle
        return {name: _lookup(bundle, name, ids, dtype) for name, ids in groups.items()}

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
        """See `VectorSource`."""
        if (ids is None) == (vectors is None):
            raise ValueError("ids, vectors: allowed: exactly one of them")
        retrieval = self._get_retrieval()
        info = self.describe()
        remote_requests.get_table(info, entity_type)
        if relation is not None:
            remote_requests.get_relation(info, relation)
        return retrieval.retrieve(
            entity_type,
            None if ids is None else self._check(entity_type, ids, "ids"),
            vectors=vectors,
            relation=relation,
            side=side,
            k=k,
            exclude=exclude,
            min_score=min_score,
            exact=exact,
        )

    def score(self, relation: str, lhs: int | str, rhs: EntityIds) -> Scores:
        """See `VectorSource`."""
        lhs_type, rhs_type = remote_requests.get_relation(self.describe(), relation)
        lhs_ids: EntityIds = [lhs] if isinstance(lhs, str) else [int(lhs)]
        return self._get_retrieval().score(
            relation,
            self._check(lhs_type, lhs_ids, "lhs"),
            self._check(rhs_type, rhs, "rhs"),
        )

    def close(self) -> None:
        """Lets go of the files; they are unmapped when the last array is gone."""
        self._bundle = self._retrieval = None

    def _open(self) -> None:
        self._bundle = Bundle.open(self._path)
        self._retrieval = None

    def _check(self, entity_type: str, ids: EntityIds, where: str) -> Any:
        is_string = self.bundle.directories[entity_type].is_string
        return check_ids(ids, is_string=is_string, where=f"{where} of {entity_type!r}")

    def _get_retrieval(self) -> "LocalRetrieval":
        if self._retrieval is None:
            # Lazy, since it imports faiss, which lookups do without.
            from twhin.client.local_retrieval import LocalRetrieval

            self._retrieval = LocalRetrieval(self.bundle)
        return self._retrieval


def _lookup(bundle: Bundle, entity_type: str, ids: EntityIds, dtype: Dtype) -> Vectors:
    if entity_type not in bundle.directories:
        raise remote_requests.not_found("entity type", entity_type, bundle.tables)
    values, found = bundle.lookup(entity_type, ids, dtype=dtype)
    return Vectors(values=values, found=found, version=bundle.version)
