# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The bundle that a worker serves, and the switch to another version.

A request takes the served version once and keeps it until it is answered, so
that no answer mixes two. The switch replaces one reference; the old version is
unmapped when the last request that holds it ends.
"""

import contextlib
import logging
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twhin.bundle import versions
from twhin.bundle.bundle import Bundle
from twhin.errors import BundleError
from twhin.retrieval.operators import Query
from twhin.retrieval.retriever import Retriever
from twhin.serving.metrics import ServerMetrics

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedBundle:
    """One version, ready to answer from.

    Attributes:
      bundle: The mapped files.
      retriever: Searches the loaded shards.
      is_complete: Whether all shards are loaded.
    """

    bundle: Bundle
    retriever: Retriever
    is_complete: bool

    @property
    def version(self) -> str:
        """The name of the version."""
        return self.bundle.version

    @property
    def size_bytes(self) -> int:
        """The bytes that are mapped."""
        return self.bundle.size_bytes + self.retriever.size_bytes


class LiveBundle:
    """The served version of a bundle root. Thread-safe."""

    def __init__(
        self,
        root: Path,
        *,
        shards: tuple[int, int, int] | None,
        lock_memory: bool,
        preload: bool,
        metrics: ServerMetrics,
    ) -> None:
        """Maps the current version.

        Args:
          root: The folder of the versions, or of one version.
          shards: See `ServerOptions.shards`.
          lock_memory: Whether to keep all pages in memory.
          preload: Whether to verify and warm this first version as well, which
            reads all of it; later ones always are.
          metrics: Told of versions and reloads.

        Raises:
          BundleError: The version cannot be served.
        """
        self._root = root
        self._shards = shards
        self._lock_memory = lock_memory
        self._metrics = metrics
        self._reload_lock = threading.Lock()
        self._refused: Path | None = None
        folder = versions.version_folder(root)
        served = self._open(folder)
        if preload:
            served.bundle.verify()
        if preload or lock_memory:
            self._warm(served)
        self._try_out(served)
        self._serve(served)

    @property
    def version(self) -> str:
        """The name of the version that is served now."""
        return self._served.version

    def get(self) -> ServedBundle:
        """Returns the version to answer a request from."""
        return self._served

    def refresh(self, *, retry: bool = False) -> None:
        """Switches to the current version if it is another, and sound.

        A version that cannot be served is logged and counted, and not looked at
        again until another becomes current; the old one stays.

        Args:
          retry: Looks again at a version that was refused.
        """
        with contextlib.suppress(BundleError):
            self.reload(retry=retry)

    def reload(self, *, retry: bool = True) -> bool:
        """Does what `refresh` does; returns whether the version is another now.

        Raises:
          BundleError: The current version cannot be served.
        """
        with self._reload_lock:
            try:
                folder = versions.version_folder(self._root)
                if folder == self._served.bundle.folder:
                    self._metrics.refused.set(0)
                    return False
                if folder == self._refused and not retry:
                    return False
                self._refused = folder
                self._switch(folder)
            except BundleError as error:
                _LOG.error("event=reload_refused serving=%s: %s", self.version, error)
                self._metrics.reloads.labels("refused").inc()
                self._metrics.refused.set(1)
                raise
            self._refused = None
            self._metrics.reloads.labels("switched").inc()
            return True

    def _switch(self, folder: Path) -> None:
        served = self._open(folder)
        served.bundle.verify()
        self._warm(served)
        self._try_out(served)
        old = self.version
        self._serve(served)
        _LOG.info("event=reloaded version=%s old=%s", served.version, old)

    def _open(self, folder: Path) -> ServedBundle:
        bundle = Bundle.open(folder, shards=self._shards)
        return ServedBundle(
            bundle=bundle,
            retriever=Retriever(bundle),
            is_complete=len(bundle.shards) == bundle.num_shards,
        )

    def _warm(self, served: ServedBundle) -> None:
        served.bundle.warm(lock=self._lock_memory)
        served.retriever.warm(lock=self._lock_memory)

    def _serve(self, served: ServedBundle) -> None:
        self._served = served
        self._metrics.mapped_bytes.set(served.size_bytes)
        self._metrics.served_version.set(served.bundle.manifest.version)
        self._metrics.refused.set(0)

    def _try_out(self, served: ServedBundle) -> None:
        """Asks each table for a row and its nearest row, as requests will.

        Raises:
          BundleError: The ids and the rows of a table do not fit.
        """
        bundle = served.bundle
        for entity_type, table in bundle.tables.items():
            if not table.shards:
                continue
            rows = np.array([table.shards[0].start], np.int64)
            found = bundle.find(entity_type, bundle.ids(entity_type, rows))
            if not np.array_equal(found, rows):
                raise BundleError(
                    f"{entity_type}: the id of row {rows[0]} is found at {found[0]}; "
                    "the id directory does not fit"
                )
            vectors = bundle.vectors(entity_type, rows)
            if served.retriever.is_indexed(entity_type):
                served.retriever.search(entity_type, Query(vectors=vectors), 1)
