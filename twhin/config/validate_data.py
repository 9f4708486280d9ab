# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Rules for the sources of edges."""

from twhin.config.faults import Faults, names, quote
from twhin.config.settings import (
    Data,
    DemoGraph,
    EdgeSource,
    EncodedEdges,
    FileFormat,
    Graph,
    Holdout,
    RareEntities,
    RawEdges,
)
from twhin.config.validate_graph import WILDCARD, check_relation_name

DEMO_RELATIONS = {
    "follows": ("user", "user"),
    "favorites": ("user", "tweet"),
    "retweets": ("user", "tweet"),
    "clicks": ("user", "advertisement"),
}
"""The relations of the generated graph, with the entity types of both sides."""


def check_data(data: Data, graph: Graph, faults: Faults) -> None:
    """Checks where the edges are, and that the schema suits the kind of source."""
    if data.prepared is not None:
        if not data.prepared:
            faults.add("data.prepared", "missing", "allowed: a folder")
    elif data.encoded is not None:
        check_encoded(data.encoded, graph, faults)
    elif data.raw is not None:
        check_raw(data.raw, graph, faults)
    elif data.demo is not None:
        check_demo(data.demo, graph, faults)
    else:
        faults.add(
            "data",
            "no source of edges",
            "allowed: exactly one of 'prepared', 'encoded', 'raw', 'demo' ('demo: {}'"
            " for the generated graph with its defaults)",
        )


def check_encoded(encoded: EncodedEdges, graph: Graph, faults: Faults) -> None:
    """Checks edges that come without a vocabulary and without names."""
    if not encoded.train:
        faults.add("data.encoded.train", "missing", "allowed: at least one path")
    _check_paths("data.encoded.train", encoded.train, faults)
    _check_paths("data.encoded.valid", encoded.valid, faults)
    _check_paths("data.encoded.test", encoded.test, faults)
    for index, entity_type in enumerate(graph.entity_types):
        where = f"graph.entity_types[{index}]"
        if entity_type.num_entities is None:
            faults.add(
                f"{where}.num_entities",
                "missing",
                "allowed: the number of rows, as data.encoded has no vocabulary",
            )
        cuts = {
            "min_degree": entity_type.min_degree > 1,
            "max_entities": entity_type.max_entities is not None,
            "rare_entities": entity_type.rare_entities is not RareEntities.DROP,
        }
        for field in (field for field, is_set in cuts.items() if is_set):
            faults.add(
                f"{where}.{field}",
                f"{quote(getattr(entity_type, field))} cuts a vocabulary",
                "allowed: its default, as data.encoded has no vocabulary",
            )
    for index, relation in enumerate(graph.relations):
        where = f"graph.relations[{index}]"
        if relation.name == WILDCARD:
            faults.add(
                f"{where}.name",
                "'*' stands for names",
                "allowed: one entry for each relation index of data.encoded",
            )
        if relation.undirected:
            faults.add(
                f"{where}.undirected",
                "edges are doubled when they are prepared",
                "allowed: false, as data.encoded is not prepared",
            )


def check_raw(raw: RawEdges, graph: Graph, faults: Faults) -> None:
    """Checks edges that are to be prepared."""
    if not raw.train:
        faults.add("data.raw.train", "missing", "allowed: at least one source")
    for split in ("train", "valid", "test"):
        for index, source in enumerate(getattr(raw, split)):
            check_source(f"data.raw.{split}[{index}]", source, graph, faults)
    check_holdout("data.raw.holdout", raw.holdout, graph, faults)
    if raw.holdout.by_time:
        for index, source in enumerate(raw.train):
            if source.timestamp is None:
                faults.add(
                    f"data.raw.train[{index}].timestamp",
                    "missing",
                    "allowed: a column, as data.raw.holdout.by_time is set",
                )


def check_source(where: str, source: EdgeSource, graph: Graph, faults: Faults) -> None:
    """Checks files of raw edges and their columns."""
    if not source.paths:
        faults.add(f"{where}.paths", "missing", "allowed: at least one path")
    _check_paths(f"{where}.paths", source.paths, faults)
    faults.check_range(f"{where}.sampling_rate", source.sampling_rate, "(0, 1]")
    if source.relation is not None:
        if source.rel is not None:
            faults.add(
                f"{where}.relation",
                f"{source.relation!r} beside the column rel = {source.rel!r}",
                "allowed: one of 'relation' and 'rel'",
            )
        elif source.relation == WILDCARD:
            faults.add(
                f"{where}.relation", "'*' is no relation", "allowed: one relation"
            )
        else:
            check_relation_name(f"{where}.relation", source.relation, graph, faults)
    if not source.columns:
        return
    if source.format not in (FileFormat.CSV, FileFormat.TSV):
        faults.add(
            f"{where}.columns",
            f"{quote(source.format)} files name their columns",
            "allowed: column names of 'csv' and 'tsv' files only",
        )
    if len(set(source.columns)) < len(source.columns):
        faults.add(
            f"{where}.columns",
            f"a name is repeated in {list(source.columns)}",
            "allowed: each name once",
        )
    for field in ("lhs", "rhs", "rel", "weight", "timestamp"):
        column = getattr(source, field)
        if column is not None and column not in source.columns:
            faults.add_unknown(f"{where}.{field}", "column", column, source.columns)


def check_holdout(where: str, holdout: Holdout, graph: Graph, faults: Faults) -> None:
    """Checks which edges are held out."""
    valid, test = holdout.valid_fraction, holdout.test_fraction
    faults.check_range(f"{where}.valid_fraction", valid, "[0, 1)")
    faults.check_range(f"{where}.test_fraction", test, "[0, 1)")
    if valid < 1 <= valid + test and test < 1:
        faults.add(
            f"{where}.test_fraction",
            f"{test!r} and valid_fraction {valid!r} leave no training edge",
            "allowed: a sum below 1",
        )
    for field in ("by_time", "relations"):
        if getattr(holdout, field) and not valid and not test:
            faults.add(
                f"{where}.{field}",
                "nothing is held out",
                "allowed: with valid_fraction or test_fraction above 0",
            )
    for index, name in enumerate(holdout.relations):
        check_relation_name(f"{where}.relations[{index}]", name, graph, faults)


def check_demo(demo: DemoGraph, graph: Graph, faults: Faults) -> None:
    """Checks the size of the generated graph and that the schema is its own."""
    faults.check_at_least("data.demo.num_users", demo.num_users, 100)
    faults.check_at_least("data.demo.num_tweets", demo.num_tweets, 100)
    faults.check_at_least("data.demo.num_advertisements", demo.num_advertisements, 10)
    faults.check_at_least("data.demo.num_edges", demo.num_edges, 1000)
    faults.check_at_least("data.demo.seed", demo.seed, 0)
    relations = {
        relation.name: (relation.lhs, relation.rhs) for relation in graph.relations
    }
    if relations != DEMO_RELATIONS:
        triples = [f"{name} ({lhs}, {rhs})" for name, (lhs, rhs) in relations.items()]
        allowed = [
            f"{name} ({lhs}, {rhs})" for name, (lhs, rhs) in DEMO_RELATIONS.items()
        ]
        faults.add(
            "graph.relations",
            f"{names(triples)} are not those of data.demo",
            f"allowed: exactly {names(allowed)}",
        )


def _check_paths(where: str, paths: tuple[str, ...], faults: Faults) -> None:
    for index, path in enumerate(paths):
        if not path:
            faults.add(f"{where}[{index}]", "empty", "allowed: a path or a URL")
