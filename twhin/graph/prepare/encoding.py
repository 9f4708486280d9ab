# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Edges as indices: ids replaced, undirected ones doubled, shuffled, written."""

from collections.abc import Mapping
from pathlib import Path

from twhin.graph.manifest import SplitManifest
from twhin.graph.prepare import sql
from twhin.graph.prepare.data_files import list_files
from twhin.graph.prepare.edge_views import EdgeViews
from twhin.graph.prepare.engine import Engine
from twhin.graph.prepare.relations import GraphRelations
from twhin.graph.prepare.vocabulary import Vocabulary


def write_split(
    engine: Engine,
    split: str,
    *,
    relations: GraphRelations,
    edges: EdgeViews,
    vocabularies: Mapping[str, Vocabulary],
    num_filtered: int,
    output: Path,
) -> SplitManifest:
    """Writes the edges of one split to `edges/SPLIT` of the graph's folder.

    Args:
      engine: The engine that holds the views.
      split: "train", "valid" or "test".
      relations: The relations of the graph.
      edges: The raw edges.
      vocabularies: By entity type.
      num_filtered: Rows of the split's sources that filters and sampling left out.
      output: The folder of the graph.
    """
    engine.begin(f"{split} edges")
    folder = output / "edges" / split
    counts: dict[int, tuple[int, int]] = {}
    queries = [
        _encode(split, pair, view, relations, vocabularies, edges.weighted)
        for (view_split, pair), view in edges.views.items()
        if view_split == split
    ]
    if queries:
        engine.write_edges(
            sql.union_all(queries),
            columns=edges.columns,
            num_edges=edges.num_edges[split],
            folder=folder,
        )
    files = list_files(folder, output)
    if files:
        counts = {
            rel: (num_rows, num_loops)
            for rel, num_rows, num_loops in engine.rows(
                "SELECT rel, count(*), CAST(sum(CASE WHEN lhs = rhs THEN 1 ELSE 0 END)"
                f" AS BIGINT) FROM {engine.scan(folder)} GROUP BY rel"
            )
        }
    by_relation = {
        relation.name: counts.get(index, (0, 0))[0]
        for index, relation in enumerate(relations.schema)
    }
    # An undirected training edge has two rows, but for one from an id to itself.
    num_encoded = sum(
        (num_rows + num_loops) // 2
        if split == "train" and rel in relations.undirected
        else num_rows
        for rel, (num_rows, num_loops) in counts.items()
    )
    num_duplicates = edges.num_duplicates if split == "train" else 0
    return SplitManifest(
        num_edges=sum(by_relation.values()),
        num_input_edges=edges.num_edges[split] + num_duplicates,
        num_filtered=num_filtered,
        num_duplicates=num_duplicates,
        num_dropped=edges.num_edges[split] - num_encoded,
        edges_by_relation=by_relation,
        files=files,
    )


def _encode(
    split: str,
    pair: int,
    view: str,
    relations: GraphRelations,
    vocabularies: Mapping[str, Vocabulary],
    weighted: bool,
) -> str:
    """Returns the encoded edges of one view."""
    lhs_type, rhs_type = relations.pairs[pair]
    weight = ", CAST(e.weight AS FLOAT) AS weight" if weighted else ""
    # Ids that only held-out edges have, have a row, but no degree.
    trained = " WHERE degree > 0" if split == "train" else ""
    codes = [
        f"(SELECT id, index FROM {vocabularies[name].codes}{trained})"
        for name in (lhs_type, rhs_type)
    ]
    encoded = (
        f"SELECT l.index AS lhs, e.rel AS rel, r.index AS rhs{weight} FROM {view} AS e"
        f" JOIN {codes[0]} AS l ON e.lhs = l.id JOIN {codes[1]} AS r ON e.rhs = r.id"
    )
    undirected = sorted(i for i in relations.undirected if relations.pair(i) == pair)
    if split != "train" or not undirected:
        return encoded
    has_no_direction = f"rel IN ({', '.join(map(str, undirected))})"
    columns = "lhs, rel, rhs, weight" if weighted else "lhs, rel, rhs"
    return (
        "SELECT CASE WHEN way = 0 THEN lhs ELSE rhs END AS lhs, rel,"
        " CASE WHEN way = 0 THEN rhs ELSE lhs END AS rhs"
        f"{', weight' if weighted else ''} FROM (SELECT {columns} FROM ({encoded}) AS e)"
        " AS encoded CROSS JOIN (VALUES (0), (1)) AS ways(way)"
        f" WHERE way = 0 OR ({has_no_direction} AND lhs <> rhs)"
    )
