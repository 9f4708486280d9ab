# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Evaluates a model on the held-out edges of a split, during and after training."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
import torch.distributed as dist

from twhin.config.settings import Evaluation
from twhin.evaluation.edges import concatenate, read_parts, take
from twhin.evaluation.link_prediction import LinkPrediction
from twhin.evaluation.mixture_ranker import MixtureRanker
from twhin.evaluation.ranker import QueryModel, Ranker
from twhin.evaluation.retrieval import Retrieval
from twhin.evaluation.sharded_rows import ShardedRows
from twhin.evaluation.table_blocks import TableBlocks
from twhin.graph.edge_columns import EdgeColumns
from twhin.graph.schema import GraphSchema
from twhin.scoring import Comparator

_SPLITS = ("train", "valid", "test")


class GraphFiles(Protocol):
    """What evaluation needs of `PreparedGraph`."""

    @property
    def schema(self) -> GraphSchema:
        """Entity types and relations."""
        ...

    def edge_files(self, split: str) -> Sequence[str]:
        """Returns the files of "train", "valid" or "test"."""
        ...


class Evaluator:
    """Metrics of a model on held-out edges, by flat name.

    All ranks of the group create it and call `evaluate` alike, and all get the
    same metrics. What does not depend on the model, known edges and the
    baseline, is read at the first call for a split and kept for the next.

    Attributes:
      ranker: Ranks by single vectors.
    """

    def __init__(
        self,
        settings: Evaluation,
        *,
        graph: GraphFiles,
        model: QueryModel,
        comparator: Comparator,
        tables: TableBlocks,
        device: torch.device,
        seed: int,
        group: dist.ProcessGroup | None = None,
    ) -> None:
        """Joins what is evaluated with the edges to evaluate it on.

        Args:
          settings: What is measured.
          graph: The edges.
          model: Makes queries; on `device`.
          comparator: How queries are compared with candidates.
          tables: The embeddings.
          device: Where scores are computed.
          seed: The seed of samples of candidates and of edges.
          group: The ranks that hold the tables; None for this process alone.
        """
        self._settings = settings
        self._graph = graph
        self._seed = seed
        rows = ShardedRows(
            tables=tables,
            entity_types=[each.name for each in graph.schema.entity_types],
            device=device,
            group=group,
        )
        self.ranker = Ranker(model=model, comparator=comparator, rows=rows)
        self._mixture_ranker: MixtureRanker | None = None
        if settings.mixture is not None:
            self._mixture_ranker = MixtureRanker(
                settings.mixture,
                model=model,
                comparator=comparator,
                rows=rows,
                seed=seed,
            )
        self._tasks: dict[tuple[str, int], list[LinkPrediction | Retrieval]] = {}

    def evaluate(self, split: str, num_edges: int = 0) -> dict[str, float]:
        """Returns the metrics of a split, "SPLIT/..."; a collective.

        A split without edges, and a measure that the settings do not ask for,
        give no metrics.

        Args:
          split: "valid" or "test"; "train" ranks what was learnt by heart.
          num_edges: The number of held-out edges, drawn with the seed; 0 for
            all. Retrieval draws whole lists, up to this number of edges.

        Raises:
          DataError: An edge file cannot be read.
        """
        key = (split, num_edges)
        if key not in self._tasks:
            self._tasks[key] = self._make_tasks(split, num_edges)
        return {
            f"{split}/{name}": value
            for task in self._tasks[key]
            for name, value in self._evaluate(task).items()
        }

    def _evaluate(self, task: LinkPrediction | Retrieval) -> dict[str, float]:
        if isinstance(task, Retrieval):
            return task.evaluate(self.ranker, self._mixture_ranker)
        return task.evaluate(self.ranker)

    def _make_tasks(
        self, split: str, num_edges: int
    ) -> list[LinkPrediction | Retrieval]:
        schema = self._graph.schema
        held_out = concatenate(list(read_parts(self._graph.edge_files(split), schema)))
        tasks: list[LinkPrediction | Retrieval] = []
        if self._settings.link_prediction and len(held_out):
            tasks.append(
                LinkPrediction(
                    edges=_draw_edges(held_out, num_edges, self._seed),
                    schema=schema,
                    num_candidates=self._settings.num_candidates,
                    seed=self._seed,
                    hits_at=self._settings.hits_at,
                )
            )
        asked = take(held_out, self._is_retrieved()[held_out.rel])
        if len(asked):
            tasks.append(
                Retrieval(
                    edges=_draw_lists(asked, num_edges, self._seed),
                    schema=schema,
                    earlier_splits=_SPLITS[: _SPLITS.index(split)],
                    retrieval_at=self._settings.retrieval_at,
                    with_mixture=self._mixture_ranker is not None,
                )
            )
        if tasks:
            self._read_graph(tasks)
        return tasks

    def _is_retrieved(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Returns for each relation whether retrieval is asked for."""
        names = [relation.name for relation in self._graph.schema.relations]
        return np.isin(names, self._settings.retrieval_relations)

    def _read_graph(self, tasks: Sequence[LinkPrediction | Retrieval]) -> None:
        for split in _SPLITS:
            files = self._graph.edge_files(split)
            for edges in read_parts(files, self._graph.schema):
                for task in tasks:
                    task.add(split, edges)
        for task in tasks:
            task.finish()


def _draw_edges(edges: EdgeColumns, num_edges: int, seed: int) -> EdgeColumns:
    """Returns `num_edges` of the edges, or all of them."""
    if not 0 < num_edges < len(edges):
        return edges
    drawn = np.random.default_rng(seed).choice(len(edges), num_edges, replace=False)
    return take(edges, np.sort(drawn))


def _draw_lists(edges: EdgeColumns, num_edges: int, seed: int) -> EdgeColumns:
    """Returns all edges of lists that together have up to `num_edges` edges.

    At least one list.
    """
    if not 0 < num_edges < len(edges):
        return edges
    keys = np.stack([edges.rel, edges.lhs])
    _, lists, sizes = np.unique(keys, axis=1, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(sizes))
    num_lists = max(1, int((np.cumsum(sizes[order]) <= num_edges).sum()))
    is_drawn = np.zeros(len(sizes), dtype=np.bool_)
    is_drawn[order[:num_lists]] = True
    return take(edges, is_drawn[lists.reshape(-1)])
