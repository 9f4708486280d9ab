# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Broken entity types, relations and tables.

Each entry: overrides of `config_case.TEXT`, and the whole message.
"""

from collections.abc import Sequence

Broken = tuple[Sequence[str], str]

BROKEN_GRAPHS: Sequence[Broken] = (
    (
        ["graph=null"],
        "graph.entity_types: missing; allowed: at least one\n"
        "graph.relations: missing; allowed: at least one",
    ),
    (
        ["graph.entity_types=null"],
        "graph.entity_types: missing; allowed: at least one",
    ),
    (
        ["graph.relations=null"],
        "graph.relations: missing; allowed: at least one\n"
        "graph.entity_types[0].name: no relation has the entity type 'user'; "
        "allowed: the lhs or the rhs of a relation\n"
        "graph.entity_types[1].name: no relation has the entity type 'tweet'; "
        "allowed: the lhs or the rhs of a relation",
    ),
    (
        ["graph.entity_types[1].name=user"],
        "graph.entity_types[1].name: 'user' is the name of graph.entity_types[0] "
        "too; allowed: each name once\n"
        "graph.relations[1].rhs: unknown entity type 'tweet'; known: 'user'",
    ),
    (
        ["graph.relations[1].name=follows"],
        "graph.relations[1].name: 'follows' is the name of graph.relations[0] too; "
        "allowed: each name once",
    ),
    (
        ["graph.entity_types[1].name=Tweet", "graph.relations[1].rhs=Tweet"],
        "graph.entity_types[1].name: 'Tweet' is not a name; allowed: lower-case "
        "letters, digits and underscores, a letter first",
    ),
    (
        ["graph.entity_types[1].name=null"],
        "graph.entity_types[1].name: missing; allowed: lower-case letters, digits "
        "and underscores, a letter first\n"
        "graph.relations[1].rhs: unknown entity type 'tweet'; known: 'user'",
    ),
    (
        ["graph.relations[1].rhs=user"],
        "graph.entity_types[1].name: no relation has the entity type 'tweet'; "
        "allowed: the lhs or the rhs of a relation",
    ),
    (
        ["graph.relations[1].rhs=twet"],
        "graph.entity_types[1].name: no relation has the entity type 'tweet'; "
        "allowed: the lhs or the rhs of a relation\n"
        "graph.relations[1].rhs: unknown entity type 'twet'; known: 'tweet', "
        "'user'; did you mean 'tweet'?",
    ),
    (
        ["graph.relations[1].lhs=null"],
        "graph.relations[1].lhs: missing; allowed: an entity type",
    ),
    (
        ["graph.relations[0].name=null"],
        "graph.relations[0].name: missing; allowed: any text, '*' for the rest",
    ),
    (
        ["graph.entity_types[0].num_entities=0"],
        "graph.entity_types[0].num_entities: 0 is too small; allowed: at least 1",
    ),
    (
        ["graph.entity_types[0].min_degree=0"],
        "graph.entity_types[0].min_degree: 0 is too small; allowed: at least 1",
    ),
    (
        ["graph.relations[0].loss_weight=-1"],
        "graph.relations[0].loss_weight: -1.0 is out of range; allowed: [0, inf)",
    ),
    (
        ["graph.relations[0].sampling_rate=0"],
        "graph.relations[0].sampling_rate: 0.0 is out of range; allowed: (0, 1]",
    ),
    (
        ["graph.relations[1].undirected=true"],
        "graph.relations[1].undirected: the sides are 'user' and 'tweet'; allowed: "
        "one entity type on both sides",
    ),
    (
        ["graph.entity_types[0].table.learning_rate=0"],
        "graph.entity_types[0].table.learning_rate: 0.0 is out of range; allowed: "
        "(0, inf)",
    ),
    (
        ["graph.entity_types[0].table={kernel: dense}"],
        "graph.entity_types[0].table.optimizer: 'rowwise_adagrad' with kernel "
        "'dense'; allowed: 'adagrad', 'adam', 'sgd'",
    ),
    (
        ["graph.entity_types[0].table={kernel: dense, optimizer: lamb}"],
        "graph.entity_types[0].table.optimizer: 'lamb' with kernel 'dense'; "
        "allowed: 'adagrad', 'adam', 'sgd'",
    ),
    (
        [
            "graph.entity_types[0].table={kernel: dense, optimizer: adam, placement: "
            "uvm}"
        ],
        "graph.entity_types[0].table.placement: 'uvm' with kernel 'dense'; allowed:"
        " 'device'",
    ),
    (
        [
            "graph.entity_types[0].table={kernel: dense, optimizer: sgd, dtype: "
            "float16, stochastic_rounding: true}"
        ],
        "graph.entity_types[0].table.dtype: 'float16' with kernel 'dense'; allowed:"
        " 'float32'",
    ),
    (
        ["graph.entity_types[0].table.stochastic_rounding=true"],
        "graph.entity_types[0].table.stochastic_rounding: true with dtype "
        "'float32'; allowed: with 'float16'",
    ),
    (
        ["graph.entity_types[0].table.sharding=column_wise"],
        "graph.entity_types[0].table.sharding: 'column_wise' cuts rows, which the "
        "optimizer 'rowwise_adagrad' needs whole; allowed: with 'adagrad', 'adam', "
        "'sgd'",
    ),
    (
        [
            "graph.entity_types[0].table={sharding: column_wise, optimizer: adagrad}",
            "model.projection=unit_norm",
        ],
        "graph.entity_types[0].table.sharding: 'column_wise' cuts rows, which "
        "model.projection 'unit_norm' needs whole; allowed: 'row_wise', "
        "'table_wise'",
    ),
    (
        [
            "graph.entity_types[0]={name: 1st}",
            "graph.relations=[{name: likes, lhs: 1st, rhs: tweet}]",
        ],
        "graph.entity_types[0].name: '1st' is not a name; allowed: lower-case "
        "letters, digits and underscores, a letter first",
    ),
    (
        [
            "graph.entity_types[0].table={sharding: table_wise, placement: uvm_caching}",
            "model.projection=max_norm",
        ],
        "graph.entity_types[0].table.placement: 'uvm_caching' keeps rows where "
        "model.projection 'max_norm' cannot reach them; allowed: 'device', 'uvm'",
    ),
)

BROKEN_WARM_STARTS: Sequence[Broken] = (
    (
        ["warm_start={checkpoint: a, bundle: b}"],
        "warm_start: 'bundle', 'checkpoint' are set together; allowed: at most one "
        "of 'bundle', 'checkpoint'",
    ),
    (
        ["warm_start={bundle: b, optimizer_state: true}"],
        "warm_start.optimizer_state: true without a checkpoint; allowed: with "
        "warm_start.checkpoint, as a bundle has no such state",
    ),
    (
        ["warm_start={bundle: b, new_rows: vectors}"],
        "warm_start.vectors: missing; needed by new_rows 'vectors'",
    ),
    (
        ["warm_start={bundle: b, vectors: v}"],
        "warm_start.vectors: unused by new_rows 'random'; allowed: with new_rows "
        "'vectors'",
    ),
    (
        ["warm_start.new_rows=neighbors"],
        "warm_start.new_rows: 'neighbors' without rows to average; allowed: "
        "'random', 'vectors', or 'neighbors' with warm_start.checkpoint or "
        "warm_start.bundle",
    ),
    (
        ["warm_start={bundle: b, new_rows: vectors, vectors: [a, '']}"],
        "warm_start.vectors[1]: empty; allowed: a path or a URL",
    ),
    (
        [
            "warm_start.bundle=b",
            "data.encoded.train=a",
            "graph.entity_types[0].num_entities=5",
            "graph.entity_types[1].num_entities=5",
        ],
        "warm_start: no entity ids to join by; allowed: unset, as data.encoded has "
        "no vocabulary",
    ),
    (
        ["graph.entity_types[0].table={l2_to_prior: 0.1, frozen_rows: all}"],
        "graph.entity_types[0].table.l2_to_prior: 0.1 without a prior; allowed: 0, "
        "or above it with warm_start.checkpoint or warm_start.bundle\n"
        "graph.entity_types[0].table.frozen_rows: 'all' without rows to keep; "
        "allowed: 'none', or the others with warm_start.checkpoint or "
        "warm_start.bundle",
    ),
)
