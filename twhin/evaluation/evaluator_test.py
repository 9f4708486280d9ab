# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of the evaluator against brute force over all scores, on 1 and 2 ranks."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from twhin.config.settings import Evaluation, Mixture
from twhin.evaluation.candidates import Candidates
from twhin.evaluation.dense_tables import DenseBlock, DenseTables
from twhin.evaluation.evaluator import Evaluator
from twhin.evaluation.table_blocks import TableBlocks
from twhin.model.relation_model import RelationModel
from twhin.scoring import Comparator, Operator
from twhin.side import Side
from twhin.testing import ranking_case
from twhin.testing.ranking_case import SCHEMA, Edge, EncodedGraph, RankingOracle
from twhin.testing.ranks import run_ranks

SETTINGS = Evaluation(
    link_prediction=True,
    num_candidates=0,
    num_edges=0,
    retrieval_relations=("likes", "views"),
    hits_at=(1, 3, 10),
    retrieval_at=(2, 5),
    interval_epochs=1,
    best_metric=None,
    early_stopping_patience=0,
    mixture=None,
)
SPLITS = ("train", "valid", "test")
MIXTURE = Mixture(num_clusters=4, num_interests=2, smoothing=0.5, num_neighbors=3)


class ColumnTables:
    """Tables of which each rank holds every row and its share of the columns."""

    def __init__(self, tables: dict[str, Tensor], rank: int, world_size: int) -> None:
        """Keeps a rank's columns."""
        self.embedding_dim = 4
        self._tables = tables
        self._columns = slice(4 * rank // world_size, 4 * (rank + 1) // world_size)

    def lookup(self, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: self._tables[name][wanted] for name, wanted in rows.items()}

    def local_blocks(self, entity_type: str) -> list[DenseBlock]:
        rows = self._tables[entity_type][:, self._columns]
        return [DenseBlock(start=0, rows=rows)]


def _dense_tables(
    tables: dict[str, Tensor], group: dist.ProcessGroup | None
) -> DenseTables:
    return DenseTables(
        schema=SCHEMA,
        embedding_dim=4,
        read_rows=lambda name, start, stop: tables[name][start:stop],
        device=torch.device("cpu"),
        group=group,
    )


def _evaluator(
    graph: EncodedGraph,
    *,
    settings: Evaluation = SETTINGS,
    comparator: Comparator = Comparator.DOT,
    tables: TableBlocks | None = None,
    group: dist.ProcessGroup | None = None,
) -> Evaluator:
    return Evaluator(
        settings,
        graph=graph,
        model=ranking_case.random_model(comparator),
        comparator=comparator,
        tables=tables or _dense_tables(ranking_case.random_tables(), group),
        device=torch.device("cpu"),
        seed=5,
        group=group,
    )


def _evaluate_kinds(
    graph: EncodedGraph, group: dist.ProcessGroup | None = None
) -> dict[str, dict[str, float]]:
    """Evaluates in every way that divides work over ranks."""
    rank, world_size = (0, 1) if group is None else (group.rank(), group.size())
    columns = ColumnTables(ranking_case.random_tables(), rank, world_size)
    kinds: dict[str, tuple[Evaluation, TableBlocks | None]] = {
        "all": (SETTINGS, None),
        "sampled": (dataclasses.replace(SETTINGS, num_candidates=3), None),
        "columns": (SETTINGS, columns),
    }
    found = {}
    for kind, (settings, tables) in kinds.items():
        evaluator = _evaluator(
            graph,
            settings=settings,
            comparator=Comparator.NEGATIVE_L2,
            tables=tables,
            group=group,
        )
        # Several blocks for each rank, although the tables are small.
        evaluator.ranker.tile_candidates = 2
        found[kind] = evaluator.evaluate("test")
    return found | {"mixture": _evaluate_mixture(graph, group)}


def _evaluate_mixture(
    graph: EncodedGraph, group: dist.ProcessGroup | None = None
) -> dict[str, float]:
    """Evaluates tables without ties, whose order is that of the rows."""
    generator = torch.Generator().manual_seed(0)
    tables = {
        each.name: torch.randn(each.num_entities, 4, generator=generator)
        for each in SCHEMA.entity_types
    }
    return _evaluator(
        graph,
        settings=dataclasses.replace(SETTINGS, mixture=MIXTURE),
        tables=_dense_tables(tables, group),
        group=group,
    ).evaluate("test")


def _evaluate_on_rank(graph: EncodedGraph) -> dict[str, dict[str, float]]:
    return _evaluate_kinds(graph, dist.group.WORLD)


def _link_prediction_oracle(
    graph: EncodedGraph, oracle: RankingOracle, samples: Mapping[str, Sequence[int]]
) -> dict[str, float]:
    """Returns "link_prediction/..." of the test edges, without the counts."""
    rows: list[tuple[str, Side, str, float]] = []
    for edge in graph.edges["test"]:
        relation = SCHEMA.relations[edge[1]]
        for side in Side:
            name = relation.lhs if side is Side.LHS else relation.rhs
            positive = edge[0] if side is Side.LHS else edge[2]
            known = oracle.known(side, edge, SPLITS)
            for model, scores in (
                ("", oracle.scores(side, edge)),
                ("popularity/", oracle.degrees(side, edge)),
            ):
                raw = ranking_case.rank(scores, positive, samples[name])
                filtered = ranking_case.rank(
                    scores, positive, set(samples[name]) - known
                )
                rows.append((f"{model}raw", side, relation.name, raw))
                rows.append((f"{model}filtered", side, relation.name, filtered))
    found = {}
    for setting in ("raw", "filtered", "popularity/raw", "popularity/filtered"):
        prefix = f"link_prediction/{setting}"
        mine = [row for row in rows if row[0] == setting]
        groups: dict[str, list[float]] = {"": [row[3] for row in mine]}
        for _, side, name, rank in mine:
            groups.setdefault(f"/side={side}", []).append(rank)
            groups.setdefault(f"/relation={name}", []).append(rank)
        for suffix, ranks in groups.items():
            found[f"{prefix}/mrr{suffix}"] = sum(1 / r for r in ranks) / len(ranks)
            found[f"{prefix}/mr{suffix}"] = sum(ranks) / len(ranks)
            for cut in SETTINGS.hits_at:
                hits = sum(rank <= cut for rank in ranks)
                found[f"{prefix}/hits@{cut}{suffix}"] = hits / len(ranks)
    return found


def _retrieval_oracle(graph: EncodedGraph, oracle: RankingOracle) -> dict[str, float]:
    """Returns "retrieval/..." of the test edges, without the counts."""
    earlier = {*graph.edges["train"], *graph.edges["valid"]}
    held_out = [
        edge
        for edge in sorted(set(graph.edges["test"]) - earlier)
        if SCHEMA.relations[edge[1]].name in SETTINGS.retrieval_relations
    ]
    lists: dict[tuple[int, int], list[Edge]] = {}
    for edge in held_out:
        lists.setdefault((edge[1], edge[0]), []).append(edge)
    values: dict[str, list[float]] = {}
    for (rel, _), edges in lists.items():
        for model, score in (("", oracle.scores), ("popularity/", oracle.degrees)):
            left_out = oracle.known(Side.RHS, edges[0], ("train", "valid"))
            ranks = [
                ranking_case.rank(
                    score(Side.RHS, edge), edge[2], set(range(11)) - left_out
                )
                for edge in edges
            ]
            for cut in SETTINGS.retrieval_at:
                found = [rank for rank in ranks if rank <= cut]
                ideal = range(1, min(cut, len(ranks)) + 1)
                gains = sum(1 / np.log2(1 + rank) for rank in found)
                for name, value in (
                    ("recall", len(found) / len(ranks)),
                    ("ndcg", gains / sum(1 / np.log2(1 + i) for i in ideal)),
                    ("hit_rate", float(bool(found))),
                ):
                    full = f"retrieval/{model}{name}@{cut}"
                    values.setdefault(full, []).append(value)
                    relation = SCHEMA.relations[rel].name
                    values.setdefault(f"{full}/relation={relation}", []).append(value)
    return {name: sum(each) / len(each) for name, each in values.items()}


def _without_counts(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if "/num_" not in name}


@pytest.mark.parametrize("comparator", Comparator)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_all_metrics_equal_brute_force(
    comparator: Comparator, dtype: torch.dtype, tmp_path: Path
) -> None:
    graph = ranking_case.write_random_graph(tmp_path)
    tables = {
        name: rows.to(dtype) for name, rows in ranking_case.random_tables().items()
    }
    oracle = RankingOracle(
        graph=graph, model=ranking_case.random_model(comparator), tables=tables
    )
    everything = {each.name: range(each.num_entities) for each in SCHEMA.entity_types}

    metrics = _evaluator(
        graph, comparator=comparator, tables=_dense_tables(tables, None)
    ).evaluate("test")

    expected = _link_prediction_oracle(graph, oracle, everything)
    expected |= _retrieval_oracle(graph, oracle)
    assert _without_counts(metrics) == pytest.approx(
        {f"test/{name}": value for name, value in expected.items()}
    )


def test_sampled_candidates_equal_brute_force_over_the_sample(tmp_path: Path) -> None:
    graph = ranking_case.write_random_graph(tmp_path)
    oracle = RankingOracle(
        graph=graph,
        model=ranking_case.random_model(Comparator.DOT),
        tables=ranking_case.random_tables(),
    )
    samples: dict[str, Sequence[int]] = {}
    for each in SCHEMA.entity_types:
        drawn = Candidates(
            entity_type=each.name,
            num_rows=each.num_entities,
            num_candidates=8,
            seed=5,
        ).sample
        samples[each.name] = range(each.num_entities) if drawn is None else [*drawn]

    metrics = _evaluator(
        graph,
        settings=dataclasses.replace(
            SETTINGS, num_candidates=8, retrieval_relations=()
        ),
    ).evaluate("test")

    assert len(samples["item"]) == 8
    assert len(samples["user"]) == 7
    assert metrics["test/link_prediction/num_candidates"] == 8
    assert _without_counts(metrics) == pytest.approx(
        {
            f"test/{name}": value
            for name, value in _link_prediction_oracle(graph, oracle, samples).items()
        }
    )


def test_two_ranks_equal_one_rank_exactly(tmp_path: Path) -> None:
    graph = ranking_case.write_random_graph(tmp_path)
    one = _evaluate_kinds(graph)

    # Processes start slowly on a busy machine: all kinds in one start.
    first, second = run_ranks(_evaluate_on_rank, 2, graph)

    assert one["all"] == one["columns"] != one["sampled"]
    assert "test/retrieval/mixture/recall@5/relation=likes" in one["mixture"]
    assert first == one
    assert second == one


def test_counts_say_how_many_edges_and_lists_were_ranked(tmp_path: Path) -> None:
    graph = ranking_case.write_graph(
        tmp_path,
        train=[(0, 0, 0)],
        # The first is in train: no list has it, yet it is a link to predict.
        test=[(0, 0, 0), (0, 0, 1), (1, 0, 1), (2, 1, 3)],
    )

    metrics = _evaluator(graph).evaluate("test")

    counts = {name: value for name, value in metrics.items() if "/num_" in name}
    assert counts == {
        "test/link_prediction/num_candidates": 0,
        "test/link_prediction/num_edges": 4,
        "test/link_prediction/num_edges/relation=follows": 1,
        "test/link_prediction/num_edges/relation=likes": 3,
        "test/retrieval/num_lists": 2,
    }


def test_valid_edges_are_no_mistakes_when_testing(tmp_path: Path) -> None:
    graph = ranking_case.write_graph(
        tmp_path,
        train=[(0, 0, 5), (1, 0, 2), (1, 0, 2), (2, 0, 3)],
        valid=[(0, 0, 2)],
        test=[(0, 0, 3)],
    )

    metrics = _evaluator(graph).evaluate("test")

    # By popularity item 2 is first; it is a valid edge of user 0. Item 5 is equal
    # to item 3, and a training edge.
    assert metrics["test/retrieval/popularity/ndcg@2"] == 1.0
    assert metrics["test/link_prediction/popularity/filtered/mr/side=rhs"] == 1.0
    assert metrics["test/link_prediction/popularity/raw/mr/side=rhs"] == 2.5


def test_later_splits_do_not_help_validation_lists(tmp_path: Path) -> None:
    graph = ranking_case.write_graph(
        tmp_path,
        train=[(1, 0, 2), (1, 0, 2), (2, 0, 3)],
        valid=[(0, 0, 3)],
        test=[(0, 0, 2)],
    )

    metrics = _evaluator(graph).evaluate("valid")

    assert metrics["valid/retrieval/popularity/recall@2"] == 1.0
    assert metrics["valid/retrieval/popularity/ndcg@2"] == pytest.approx(1 / np.log2(3))


def test_split_without_edges_gives_no_metrics(tmp_path: Path) -> None:
    graph = ranking_case.write_graph(tmp_path, train=[(0, 0, 0)])

    assert _evaluator(graph).evaluate("valid") == {}


def test_retrieval_of_nothing_new_gives_no_retrieval_metrics(tmp_path: Path) -> None:
    graph = ranking_case.write_graph(tmp_path, train=[(0, 0, 0)], test=[(0, 0, 0)])

    names = _evaluator(graph).evaluate("test")

    assert not [name for name in names if "/retrieval/" in name]


def test_num_edges_limits_links_and_keeps_lists_whole(tmp_path: Path) -> None:
    graph = ranking_case.write_graph(
        tmp_path,
        train=[(0, 0, 0)],
        test=[(user, 0, item) for user in range(4) for item in (3, 5, 7)],
    )

    metrics = _evaluator(graph).evaluate("test", num_edges=7)

    assert metrics["test/link_prediction/num_edges"] == 7
    assert metrics["test/retrieval/num_lists"] == 2


def test_second_call_sees_the_tables_as_they_are_now(tmp_path: Path) -> None:
    graph = ranking_case.write_random_graph(tmp_path)
    tables = ranking_case.random_tables()
    evaluator = _evaluator(graph, tables=_dense_tables(tables, None))
    before = evaluator.evaluate("test")

    for rows in tables.values():
        rows.mul_(-1)
    after = evaluator.evaluate("test")

    name = "test/link_prediction/filtered/mrr"
    assert after[name] != before[name]
    name = "test/link_prediction/popularity/filtered/mrr"
    assert after[name] == before[name]


def test_diverged_model_is_in_the_middle(tmp_path: Path) -> None:
    graph = ranking_case.write_graph(tmp_path, train=[(0, 0, 0)], test=[(0, 0, 3)])
    tables = ranking_case.random_tables()
    for rows in tables.values():
        rows.fill_(float("nan"))

    metrics = _evaluator(graph, tables=_dense_tables(tables, None)).evaluate("test")

    # 11 items and 7 users: ranks (11 + 1) / 2 and (7 + 1) / 2.
    assert metrics["test/link_prediction/raw/mr/side=rhs"] == 6.0
    assert metrics["test/link_prediction/raw/mr/side=lhs"] == 4.0


def test_entity_without_edges_is_ranked_by_its_single_vector(tmp_path: Path) -> None:
    held_out = [(user, 0, item) for user in range(6) for item in (user, user + 3)]
    graph = ranking_case.write_graph(tmp_path, train=[(0, 1, 1)], test=held_out)

    metrics = _evaluate_mixture(graph)

    for metric in ("recall@2", "ndcg@5", "hit_rate@5"):
        single = metrics[f"test/retrieval/{metric}"]
        assert metrics[f"test/retrieval/mixture/{metric}"] == single
    assert 0 < metrics["test/retrieval/recall@5"] < 1


def test_mixture_finds_both_interests_where_one_vector_cannot(tmp_path: Path) -> None:
    # User 0 likes two opposite groups of items, one of each is held out; items 6
    # to 10 lie between the groups, nearer to the single vector.
    east, west, north = [[3.0, 0.5, 0, 0]], [[-3.0, 0.5, 0, 0]], [[0, 1.0, 1.0, 0]]
    tables = {
        "item": torch.tensor(east * 3 + west * 3 + north * 5),
        "user": torch.tensor([[0, 1.0, 0, 0]] * 7),
    }
    graph = ranking_case.write_graph(
        tmp_path,
        train=[(0, 2, item) for item in (0, 1, 3, 4)],
        test=[(0, 2, 2), (0, 2, 5)],
    )
    model = RelationModel(
        operators=[Operator.IDENTITY] * 3,
        embedding_dim=4,
        comparator=Comparator.COSINE,
        reciprocal=False,
    )

    metrics = Evaluator(
        dataclasses.replace(SETTINGS, mixture=MIXTURE),
        graph=graph,
        model=model,
        comparator=Comparator.COSINE,
        tables=_dense_tables(tables, None),
        device=torch.device("cpu"),
        seed=0,
    ).evaluate("test")

    assert metrics["test/retrieval/recall@5"] == 0.0
    assert metrics["test/retrieval/mixture/recall@5"] == 1.0
