# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Views of the raw edges by split and by pair of entity types.

Every view has the columns `lhs`, `rel`, `rhs` (ids; the relation's index) and,
where the graph has weights, `weight` (double).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from twhin.config.settings import Duplicates, RawEdges
from twhin.graph.manifest import SPLITS
from twhin.graph.prepare import id_types, source_survey, split_rule, sql
from twhin.graph.prepare.engine import Engine
from twhin.graph.prepare.relations import RELATIONS_VIEW, GraphRelations
from twhin.graph.prepare.source_survey import SourceSurvey


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeViews:
    """The edges of a graph.

    Attributes:
      weighted: Whether the views have a column `weight`.
      views: The view of each split and position of a pair of entity types; the
        key is absent where there can be no edge.
      num_edges: The number of edges of each split.
      num_duplicates: Training edges that were merged into an equal one.
    """

    weighted: bool
    views: Mapping[tuple[str, int], str]
    num_edges: Mapping[str, int]
    num_duplicates: int

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the views."""
        return ("lhs", "rel", "rhs", *(("weight",) if self.weighted else ()))


def define_edges(
    engine: Engine,
    raw: RawEdges,
    surveys: Sequence[SourceSurvey],
    relations: GraphRelations,
    ids: Mapping[str, str],
) -> EdgeViews:
    """Defines the views: columns mapped, duplicates merged, edges held out.

    Args:
      engine: The engine that has opened the sources.
      raw: The configuration.
      surveys: What the sources hold.
      relations: The relations of the graph.
      ids: The id type of each entity type.
    """
    names = "name, rel, pair, undirected, held_out"
    engine.define(RELATIONS_VIEW, sql.values(relations.rows(), names))
    weighted = raw.duplicates is Duplicates.SUM_WEIGHTS or any(
        survey.source.settings.weight is not None for survey in surveys
    )
    queries: dict[tuple[str, int], list[str]] = {}
    for survey in surveys:
        for pair in sorted(
            {relations.pair(relations.index(n)) for n in survey.relations}
        ):
            query = _source_query(engine, raw, survey, relations, ids, pair, weighted)
            queries.setdefault((survey.source.split, pair), []).append(query)
    training, num_duplicates = _merge_duplicates(
        engine,
        raw,
        {pair: each for (split, pair), each in queries.items() if split == "train"},
        weighted,
        sum(s.num_edges for s in surveys if s.source.split == "train"),
    )
    parts: dict[tuple[str, int], list[str]] = {
        key: each for key, each in queries.items() if key[0] != "train"
    }
    for pair, split, query in split_rule.split_edges(engine, raw.holdout, training):
        parts.setdefault((split, pair), []).append(query)
    return _define_views(engine, parts, weighted, num_duplicates)


def _define_views(
    engine: Engine,
    parts: Mapping[tuple[str, int], list[str]],
    weighted: bool,
    num_duplicates: int,
) -> EdgeViews:
    columns = "lhs, rel, rhs, weight" if weighted else "lhs, rel, rhs"
    views = {}
    num_edges = dict.fromkeys(SPLITS, 0)
    for (split, pair), queries in sorted(parts.items()):
        view = f"edges_{split}_{pair}"
        selected = [f"SELECT {columns} FROM ({query}) AS part" for query in queries]
        engine.define(view, sql.union_all(selected))
        ((count,),) = engine.rows(f"SELECT count(*) FROM {view}")
        num_edges[split] += count
        if count:
            views[split, pair] = view
    return EdgeViews(
        weighted=weighted,
        views=views,
        num_edges=num_edges,
        num_duplicates=num_duplicates,
    )


def _source_query(
    engine: Engine,
    raw: RawEdges,
    survey: SourceSurvey,
    relations: GraphRelations,
    ids: Mapping[str, str],
    pair: int,
    weighted: bool,
) -> str:
    """Returns the edges of one source and one pair of entity types."""
    source = survey.source
    lhs_type, rhs_type = relations.pairs[pair]
    lhs = f"CAST(lhs AS {id_types.sql_type(ids[lhs_type])})"
    rhs = f"CAST(rhs AS {id_types.sql_type(ids[rhs_type])})"
    rel, undirected, table = "r.rel", "r.undirected", source.view
    if source.settings.relation is not None:
        index = relations.index(source.settings.relation)
        rel = f"CAST({index} AS BIGINT)"
        undirected = "TRUE" if index in relations.undirected else "FALSE"
    else:
        table = (
            f"{source.view} JOIN {RELATIONS_VIEW} AS r"
            f" ON CAST({source.view}.rel AS STRING) = r.name AND r.pair = {pair}"
        )
    any_undirected = any(relations.pair(i) == pair for i in relations.undirected)
    columns = [f"{lhs} AS lhs", f"{rel} AS rel", f"{rhs} AS rhs"]
    if source.split == "train" and any_undirected:
        columns[0] = _ordered(lhs, rhs, undirected, "lhs")
        columns[2] = _ordered(rhs, lhs, undirected, "rhs")
    if weighted:
        has_weight = source.settings.weight is not None
        weight = "CAST(weight AS DOUBLE)" if has_weight else "CAST(1 AS DOUBLE)"
        columns.append(f"{weight} AS weight")
    if raw.holdout.by_time and source.split == "train":
        kind = survey.columns.kinds["timestamp"]
        columns.append(f"{source_survey.time_expression(engine, kind)} AS time")
    return f"SELECT {', '.join(columns)} FROM {table} WHERE kept"


def _ordered(this: str, other: str, undirected: str, side: str) -> str:
    """Returns a side of an edge; undirected edges have the smaller id on the lhs."""
    is_wrong = f"{this} > {other}" if side == "lhs" else f"{this} < {other}"
    return (
        f"CASE WHEN {undirected} AND {is_wrong} THEN {other} ELSE {this} END AS {side}"
    )


def _merge_duplicates(
    engine: Engine,
    raw: RawEdges,
    queries: Mapping[int, list[str]],
    weighted: bool,
    num_edges: int,
) -> tuple[dict[int, str], int]:
    """Returns a query of training edges for each pair, and how many were merged."""
    if raw.duplicates is Duplicates.KEEP:
        return {pair: sql.union_all(each) for pair, each in queries.items()}, 0
    columns = ["lhs", "rel", "rhs"]
    if weighted:
        is_sum = raw.duplicates is Duplicates.SUM_WEIGHTS
        weight = engine.ordered_sum("weight") if is_sum else "max(weight)"
        columns.append(f"{weight} AS weight")
    if raw.holdout.by_time:
        columns.append("min(time) AS time")
    merged = {}
    num_merged = 0
    for pair, each in queries.items():
        view = f"merged_{pair}"
        engine.materialize(
            view,
            f"SELECT {', '.join(columns)} FROM ({sql.union_all(each)}) AS edges"
            " GROUP BY lhs, rel, rhs",
        )
        ((count,),) = engine.rows(f"SELECT count(*) FROM {view}")
        num_merged += count
        merged[pair] = f"SELECT * FROM {view}"
    return merged, num_edges - num_merged
