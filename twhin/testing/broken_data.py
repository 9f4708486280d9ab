# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Broken sources of edges.

Each entry: overrides of `config_case.TEXT`, and the whole message.
"""

from collections.abc import Sequence

Broken = tuple[Sequence[str], str]

BROKEN_DATA: Sequence[Broken] = (
    (
        ["data=null"],
        "data: no source of edges; allowed: exactly one of 'prepared', 'encoded', "
        "'raw', 'demo' ('demo: {}' for the generated graph with its defaults)",
    ),
    (
        ["data.prepared=''"],
        "data.prepared: missing; allowed: a folder",
    ),
    (
        ["data.encoded={}"],
        "data.encoded.train: missing; allowed: at least one path\n"
        "graph.entity_types[0].num_entities: missing; allowed: the number of rows, "
        "as data.encoded has no vocabulary\n"
        "graph.entity_types[1].num_entities: missing; allowed: the number of rows, "
        "as data.encoded has no vocabulary",
    ),
    (
        [
            "data.encoded={train: [a, '']}",
            "graph.entity_types[0].num_entities=5",
            "graph.entity_types[1].num_entities=5",
        ],
        "data.encoded.train[1]: empty; allowed: a path or a URL",
    ),
    (
        ["data.encoded={train: a}", "graph.entity_types[0].num_entities=5"],
        "graph.entity_types[1].num_entities: missing; allowed: the number of rows, "
        "as data.encoded has no vocabulary",
    ),
    (
        [
            "data.encoded={train: a}",
            "graph.entity_types=[{name: user, num_entities: 5, min_degree: 2}, {name: "
            "tweet, num_entities: 5, max_entities: 4, rare_entities: shared_row}]",
        ],
        "graph.entity_types[0].min_degree: 2 cuts a vocabulary; allowed: its "
        "default, as data.encoded has no vocabulary\n"
        "graph.entity_types[1].max_entities: 4 cuts a vocabulary; allowed: its "
        "default, as data.encoded has no vocabulary\n"
        "graph.entity_types[1].rare_entities: 'shared_row' cuts a vocabulary; "
        "allowed: its default, as data.encoded has no vocabulary",
    ),
    (
        [
            "data.encoded={train: a}",
            "graph.entity_types=[{name: user, num_entities: 5}]",
            "graph.relations=[{name: '*', lhs: user, rhs: user, undirected: true}]",
        ],
        "graph.relations[0].name: '*' stands for names; allowed: one entry for each"
        " relation index of data.encoded\n"
        "graph.relations[0].undirected: edges are doubled when they are prepared; "
        "allowed: false, as data.encoded is not prepared",
    ),
    (
        [
            "data.encoded={train: a}",
            "graph.entity_types[0].num_entities=5",
            "graph.entity_types[1].num_entities=5",
            "negatives.num_by_degree=10",
        ],
        "negatives.num_by_degree: 10 without degrees; allowed: 0, as data.encoded "
        "has no vocabulary",
    ),
    (
        ["data.raw={}"],
        "data.raw.train: missing; allowed: at least one source",
    ),
    (
        ["data.raw.train={relation: likes}"],
        "data.raw.train[0].paths: missing; allowed: at least one path",
    ),
    (
        ["data.raw.train={paths: a, relation: liks}"],
        "data.raw.train[0].relation: unknown relation 'liks'; known: 'follows', "
        "'likes'; did you mean 'likes'?",
    ),
    (
        ["data.raw.train={paths: a, rel: kind, relation: likes}"],
        "data.raw.train[0].relation: 'likes' beside the column rel = 'kind'; "
        "allowed: one of 'relation' and 'rel'",
    ),
    (
        ["data.raw.train={paths: a, relation: '*'}"],
        "data.raw.train[0].relation: '*' is no relation; allowed: one relation",
    ),
    (
        ["data.raw.train={paths: a, sampling_rate: 0}"],
        "data.raw.train[0].sampling_rate: 0.0 is out of range; allowed: (0, 1]",
    ),
    (
        ["data.raw.train={paths: a.parquet, columns: [lhs, rel, rhs]}"],
        "data.raw.train[0].columns: 'parquet' files name their columns; allowed: "
        "column names of 'csv' and 'tsv' files only",
    ),
    (
        ["data.raw.train={paths: a.csv, columns: [lhs, rhs, rhs], relation: likes}"],
        "data.raw.train[0].columns: a name is repeated in ['lhs', 'rhs', 'rhs']; "
        "allowed: each name once",
    ),
    (
        [
            "data.raw.train={paths: a.csv, columns: [user, item], lhs: user, rhs: itm, "
            "relation: likes, weight: stars, timestamp: when}"
        ],
        "data.raw.train[0].rhs: unknown column 'itm'; known: 'item', 'user'; did "
        "you mean 'item'?\n"
        "data.raw.train[0].weight: unknown column 'stars'; known: 'item', 'user'\n"
        "data.raw.train[0].timestamp: unknown column 'when'; known: 'item', 'user'",
    ),
    (
        [
            "data.raw={train: {paths: a}, holdout: {valid_fraction: 0.5, test_fraction:"
            " 0.5}}"
        ],
        "data.raw.holdout.test_fraction: 0.5 and valid_fraction 0.5 leave no "
        "training edge; allowed: a sum below 1",
    ),
    (
        ["data.raw={train: {paths: a}, holdout: {valid_fraction: 1}}"],
        "data.raw.holdout.valid_fraction: 1.0 is out of range; allowed: [0, 1)",
    ),
    (
        ["data.raw={train: {paths: a}, holdout: {by_time: true, relations: like}}"],
        "data.raw.holdout.by_time: nothing is held out; allowed: with "
        "valid_fraction or test_fraction above 0\n"
        "data.raw.holdout.relations: nothing is held out; allowed: with "
        "valid_fraction or test_fraction above 0\n"
        "data.raw.holdout.relations[0]: unknown relation 'like'; known: 'follows', "
        "'likes'; did you mean 'likes'?\n"
        "data.raw.train[0].timestamp: missing; allowed: a column, as "
        "data.raw.holdout.by_time is set",
    ),
    (
        [
            "data.raw={train: [{paths: a, timestamp: t}, {paths: b}], holdout: "
            "{by_time: true, test_fraction: 0.1}}"
        ],
        "data.raw.train[1].timestamp: missing; allowed: a column, as "
        "data.raw.holdout.by_time is set",
    ),
    (
        ["data.demo={num_users: 1}"],
        "data.demo.num_users: 1 is too small; allowed: at least 100\n"
        "graph.relations: 'follows (user, user)', 'likes (user, tweet)' are not "
        "those of data.demo; allowed: exactly 'clicks (user, advertisement)', "
        "'favorites (user, tweet)', 'follows (user, user)', 'retweets (user, "
        "tweet)'",
    ),
    (
        [
            "data.raw.train={paths: a, rel: kind}",
            "data.raw.valid={paths: '', relation: like}",
        ],
        "data.raw.valid[0].paths[0]: empty; allowed: a path or a URL\n"
        "data.raw.valid[0].relation: unknown relation 'like'; known: 'follows', "
        "'likes'; did you mean 'likes'?",
    ),
    (
        [
            "data.raw={train: {paths: a}, holdout: {test_fraction: 0.1, relations: "
            "[likes, follow]}}"
        ],
        "data.raw.holdout.relations[1]: unknown relation 'follow'; known: "
        "'follows', 'likes'; did you mean 'follows'?",
    ),
    (
        [
            "data.encoded={train: a, valid: '', test: [b, '']}",
            "graph.entity_types[0].num_entities=5",
            "graph.entity_types[1].num_entities=5",
        ],
        "data.encoded.valid[0]: empty; allowed: a path or a URL\n"
        "data.encoded.test[1]: empty; allowed: a path or a URL",
    ),
    (
        ["data.raw.train={paths: a.tsv.gz, columns: [a, b, c], rel: d, rhs: c}"],
        "data.raw.train[0].lhs: unknown column 'lhs'; known: 'a', 'b', 'c'\n"
        "data.raw.train[0].rel: unknown column 'd'; known: 'a', 'b', 'c'",
    ),
)
