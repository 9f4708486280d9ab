# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What entities start from that the earlier model has not."""

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twhin.graph import id_join
from twhin.graph.edge_columns import EdgeColumns
from twhin.graph.edge_files import EdgeFiles
from twhin.graph.prepared_graph import PreparedGraph
from twhin.warm_start.earlier_model import EarlierModel, visit_rows
from twhin.warm_start.join import JoinedPart
from twhin.warm_start.kept_rows import columns_of

_MAX_PAIRS = 1 << 22
_WRITTEN_ROWS = 1 << 16


def fill_from_vectors(
    joined: JoinedPart, graph: PreparedGraph, paths: Sequence[str], embedding_dim: int
) -> int:
    """Copies given vectors to new rows; those without one stay.

    Args:
      joined: This rank's rows.
      graph: The graph of now.
      paths: Files as in `warm_start.vectors`.
      embedding_dim: D.

    Returns:
      The number of rows that were filled.

    Raises:
      DataError: A file cannot be used; see `id_join.join_vectors`.
    """
    part = joined.part
    rows = range(part.start, part.start + part.rows.shape[0])
    num_filled = 0
    for found, vectors in id_join.join_vectors(
        paths, graph, joined.entity_type, rows, embedding_dim
    ):
        places = found - part.start
        is_new = joined.earlier_rows[places] < 0
        own = columns_of(part, torch.from_numpy(vectors[is_new]))
        target = torch.from_numpy(places[is_new]).to(part.rows.device)
        part.rows[target] = own.to(part.rows.device, part.rows.dtype)
        num_filled += int(is_new.sum())
    return num_filled


def fill_from_neighbors(
    source: EarlierModel, joined: Sequence[JoinedPart], graph: PreparedGraph
) -> int:
    """Sets new rows to the mean of their kept neighbours in the training edges.

        x_new = 1 / |N| sum of x_n over n in N,

    N the kept entities at the other ends of its edges, once for each edge. New
    rows without such a neighbour stay. This rank reads all edges and, in blocks,
    all tables; it takes 8 bytes for each row of the graph, 4 for each of its own,
    and, but for single precision on the CPU, 4 D for each of its new ones.

    Reference: El-Kishky et al., arXiv 2202.05387, equation 5.

    Args:
      source: The earlier model.
      joined: This rank's rows.
      graph: The graph of now.

    Returns:
      The number of rows that were filled.

    Raises:
      DataError: An edge file is damaged.
    """
    averages = [_NeighborMean(one) for one in joined]
    if any(average.num_new for average in averages):
        collector = _PairCollector(source, averages, graph)
        files = EdgeFiles(graph.edge_files("train"), graph.schema)
        for row_group in files.row_groups:
            collector.add(files.read(row_group))
        collector.flush()
    return sum(average.finish() for average in averages)


class _NeighborMean:
    """The sums of neighbours of the new rows of a part.

    Rows of single precision in memory are their own sums; for others, sums are
    held beside them.
    """

    def __init__(self, joined: JoinedPart) -> None:
        self.entity_type = joined.entity_type
        self._part = joined.part
        (new,) = np.nonzero(joined.earlier_rows < 0)
        self.num_new = len(new)
        self._new = torch.from_numpy(new)
        # For each row of the part its place among the new ones, or -1.
        self._places = np.full(len(joined.earlier_rows), -1, dtype=np.int32)
        self._places[new] = np.arange(len(new))
        rows = joined.part.rows
        self._sums: Tensor | None = None
        if rows.dtype is not torch.float32 or rows.device.type != "cpu":
            self._sums = torch.zeros(len(new), rows.shape[1])
        self._counts = torch.zeros(len(new))

    def find(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns places among the new rows; -1 for kept ones and other ranks'."""
        local = rows - self._part.start
        is_here = (local >= 0) & (local < len(self._places))
        found = np.full(len(rows), -1, dtype=np.int64)
        found[is_here] = self._places[local[is_here]]
        return found

    def add(self, places: Tensor, vectors: Tensor) -> None:
        """Adds neighbours, [n, D], to new rows."""
        own = columns_of(self._part, vectors).float()
        if self._sums is None:
            # The first neighbours take the place of the random start.
            first = places[self._counts[places] == 0]
            self._part.rows[self._new[first]] = 0.0
            self._part.rows.index_add_(0, self._new[places], own)
        else:
            self._sums.index_add_(0, places, own)
        self._counts += torch.bincount(places, minlength=self.num_new)

    def finish(self) -> int:
        """Writes the means; returns how many there are."""
        (has,) = torch.nonzero(self._counts, as_tuple=True)
        rows = self._part.rows
        for chosen in torch.tensor_split(has, len(has) // _WRITTEN_ROWS + 1):
            target = self._new[chosen].to(rows.device)
            sums = rows[target] if self._sums is None else self._sums[chosen]
            means = sums / self._counts[chosen].unsqueeze(1)
            rows[target] = means.to(rows.device, rows.dtype)
        return len(has)


class _PairCollector:
    """Pairs of a new row and a kept neighbour, added up many at a time."""

    def __init__(
        self,
        source: EarlierModel,
        averages: Iterable[_NeighborMean],
        graph: PreparedGraph,
    ) -> None:
        self._source = source
        self._averages = [average for average in averages if average.num_new]
        self._earlier = {
            t.name: source.join(graph, t.name, range(t.num_entities))
            for t in graph.schema.entity_types
        }
        names = [t.name for t in graph.schema.entity_types]
        relations = graph.schema.relations
        self._names = names
        self._lhs_types = np.array([names.index(r.lhs) for r in relations])
        self._rhs_types = np.array([names.index(r.rhs) for r in relations])
        self._pairs: dict[tuple[int, str], list[NDArray[np.int64]]] = {}
        self._num_pairs = 0

    def add(self, edges: EdgeColumns) -> None:
        """Takes both ends of the edges."""
        lhs_types, rhs_types = self._lhs_types[edges.rel], self._rhs_types[edges.rel]
        self._add_side(edges.lhs, lhs_types, edges.rhs, rhs_types)
        self._add_side(edges.rhs, rhs_types, edges.lhs, lhs_types)
        if self._num_pairs >= _MAX_PAIRS:
            self.flush()

    def flush(self) -> None:
        """Reads the neighbours and adds them to their sums."""
        while self._pairs:
            (number, name), pairs = self._pairs.popitem()
            places, wanted = np.concatenate(pairs, axis=1)
            pairs.clear()
            targets = torch.from_numpy(places)
            read = partial(self._source.read_rows, name)
            for chosen, vectors in visit_rows(
                read, self._source.num_rows(name), wanted
            ):
                self._averages[number].add(targets[chosen], vectors)
        self._num_pairs = 0

    def _add_side(
        self,
        rows: NDArray[np.int64],
        types: NDArray[np.int64],
        others: NDArray[np.int64],
        other_types: NDArray[np.int64],
    ) -> None:
        """Takes the pairs whose new row is in `rows`."""
        for number, average in enumerate(self._averages):
            (here,) = np.nonzero(types == self._names.index(average.entity_type))
            places = average.find(rows[here])
            is_new = places >= 0
            here, places = here[is_new], places[is_new]
            for other_type in np.unique(other_types[here]):
                name = self._names[other_type]
                is_type = other_types[here] == other_type
                earlier = self._earlier[name][others[here[is_type]]]
                pairs = np.stack((places[is_type], earlier))[:, earlier >= 0]
                if pairs.size:
                    self._pairs.setdefault((number, name), []).append(pairs)
                    self._num_pairs += pairs.shape[1]
