# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Configurations that do not fit the schema.

Each entry: overrides of `config_case.TEXT`, and the whole message.
"""

from collections.abc import Sequence

Broken = tuple[Sequence[str], str]

BROKEN_YAML: Sequence[Broken] = (
    (
        ["grap={}"],
        "grap: unknown field 'grap'; known: 'checkpoint', 'data', 'evaluation', "
        "'export', 'graph', 'loss', 'model', 'negatives', 'optimizer', "
        "'relation_optimizer', 'runtime', 'schedule', 'training', 'warm_start'; did"
        " you mean 'graph'?",
    ),
    (
        ["model.embeding_dim=64"],
        "model.embeding_dim: unknown field 'embeding_dim'; known: 'comparator', "
        "'dropout', 'embedding_dim', 'init_hops', 'init_scale', 'projection', "
        "'reciprocal'; did you mean 'embedding_dim'?",
    ),
    (
        ["model.embedding_dim=wide"],
        "model.embedding_dim: wrong type 'wide'; allowed: a whole number",
    ),
    (
        ["model.embedding_dim=64.5"],
        "model.embedding_dim: wrong type 64.5; allowed: a whole number",
    ),
    (
        ["model.embedding_dim=true"],
        "model.embedding_dim: wrong type true; allowed: a whole number",
    ),
    (
        ["model.embedding_dim=3000000000"],
        "model.embedding_dim: 3000000000 is out of range; allowed: [-2147483648, "
        "2147483648)",
    ),
    (
        ["training.seed=9223372036854775808"],
        "training.seed: 9223372036854775808 is out of range; allowed: "
        "[-9223372036854775808, 9223372036854775808)",
    ),
    (
        ["model.reciprocal=1"],
        "model.reciprocal: wrong type 1; allowed: true or false",
    ),
    (
        ["model.init_scale=small"],
        "model.init_scale: wrong type 'small'; allowed: a number",
    ),
    (
        ["loss.kind=softmx"],
        "loss.kind: unknown value 'softmx'; known: 'cosine_contrastive', "
        "'logistic', 'ranking', 'self_adversarial', 'softmax'; did you mean "
        "'softmax'?",
    ),
    (
        ["loss.kind=1"],
        "loss.kind: unknown value 1; known: 'cosine_contrastive', 'logistic', "
        "'ranking', 'self_adversarial', 'softmax'",
    ),
    (
        ["loss.kind=LOSS_KIND_UNSPECIFIED"],
        "loss.kind: unknown value 'LOSS_KIND_UNSPECIFIED'; known: "
        "'cosine_contrastive', 'logistic', 'ranking', 'self_adversarial', 'softmax'",
    ),
    (
        ["model=dot"],
        "model: wrong type 'dot'; allowed: a mapping of the fields 'comparator', "
        "'dropout', 'embedding_dim', 'init_hops', 'init_scale', 'projection', "
        "'reciprocal'",
    ),
    (
        ["graph.relations=[likes, follows]"],
        "graph.relations[0]: wrong type 'likes'; allowed: a mapping of the fields "
        "'lhs', 'loss_weight', 'name', 'operator', 'rhs', 'sampling_rate', "
        "'undirected'\n"
        "graph.relations[1]: wrong type 'follows'; allowed: a mapping of the fields"
        " 'lhs', 'loss_weight', 'name', 'operator', 'rhs', 'sampling_rate', "
        "'undirected'",
    ),
    (
        ["graph.entity_types[0].name=7"],
        "graph.entity_types[0].name: wrong type 7; allowed: text, quoted where it "
        "looks like something else",
    ),
    (
        ["data={prepared: a, demo: {}}"],
        "data: 'demo', 'prepared' are set together; allowed: exactly one of 'demo',"
        " 'encoded', 'prepared', 'raw'",
    ),
    (
        ["data.root=[a, b]"],
        "data.root: wrong type ['a', 'b']; allowed: text, quoted where it looks "
        "like something else",
    ),
    (
        ["evaluation.hits_at=[1, ten]"],
        "evaluation.hits_at[1]: wrong type 'ten'; allowed: a whole number",
    ),
    (
        ["evaluation.hits_at=ten"],
        "evaluation.hits_at: wrong type 'ten'; allowed: a whole number",
    ),
    (
        ["evaluation.retrieval_relations=[likes, null]"],
        "evaluation.retrieval_relations[1]: wrong type null; allowed: text, quoted "
        "where it looks like something else",
    ),
    (
        ["model.0=1"],
        "model: wrong type [1]; allowed: a mapping of the fields 'comparator', "
        "'dropout', 'embedding_dim', 'init_hops', 'init_scale', 'projection', "
        "'reciprocal'",
    ),
    (
        ["data.encoded=a"],
        "data.encoded: wrong type 'a'; allowed: a mapping of the fields 'test', "
        "'train', 'valid'",
    ),
    (
        ["data.raw.train[0].pathes=a"],
        "data.raw.train[0].pathes: unknown field 'pathes'; known: 'columns', "
        "'filter', 'format', 'lhs', 'paths', 'rel', 'relation', 'rhs', "
        "'sampling_rate', 'timestamp', 'weight'; did you mean 'paths'?",
    ),
    (
        ["graph.relations[0].operator=translate"],
        "graph.relations[0].operator: unknown value 'translate'; known: 'affine', "
        "'complex_diagonal', 'diagonal', 'identity', 'linear', 'rotation', "
        "'translation'; did you mean 'translation'?",
    ),
)
