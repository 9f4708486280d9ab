# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Broken models, objectives, training and evaluation.

Each entry: overrides of `config_case.TEXT`, and the whole message.
"""

from collections.abc import Sequence

Broken = tuple[Sequence[str], str]

BROKEN_TRAINING: Sequence[Broken] = (
    (
        ["model.embedding_dim=0"],
        "model.embedding_dim: 0 is out of range; allowed: [1, 4096]",
    ),
    (
        ["model.dropout=1"],
        "model.dropout: 1.0 is out of range; allowed: [0, 1)",
    ),
    (
        ["model.embedding_dim=63", "graph.relations[0].operator=rotation"],
        "graph.relations[0].operator: 'rotation' halves model.embedding_dim 63; "
        "allowed: an even dimension",
    ),
    (
        ["model.reciprocal=false"],
        "graph.relations[0].operator: 'translation' cannot rank the lhs by 'cosine'"
        " without model.reciprocal; allowed: reciprocal relations, or 'identity', "
        "'rotation'\n"
        "graph.relations[1].operator: 'translation' cannot rank the lhs by 'cosine'"
        " without model.reciprocal; allowed: reciprocal relations, or 'identity', "
        "'rotation'",
    ),
    (
        ["negatives.num_uniform=0"],
        "negatives: no negatives; allowed: 'in_batch', 'num_uniform', "
        "'num_by_degree' or 'all_entities'",
    ),
    (
        ["negatives={all_entities: true, num_by_degree: 5}"],
        "negatives.all_entities: 'num_by_degree' is set too; allowed: all entities,"
        " or the other kinds",
    ),
    (
        [
            "negatives.all_entities=true",
            "negatives.num_uniform=5",
            "negatives.in_batch=true",
        ],
        "negatives.all_entities: 'in_batch' is set too; allowed: all entities, or "
        "the other kinds",
    ),
    (
        ["negatives.logq_correction=true"],
        "negatives.logq_correction: nothing to correct; allowed: with 'in_batch' or"
        " 'num_by_degree'",
    ),
    (
        ["negatives.share_across_ranks=true"],
        "negatives.share_across_ranks: nothing to share; allowed: with 'in_batch'",
    ),
    (
        ["negatives.degree_alpha=1.5"],
        "negatives.degree_alpha: 1.5 is out of range; allowed: [0, 1]",
    ),
    (
        ["loss.kind=cosine_contrastive", "model.comparator=dot"],
        "loss.kind: 'cosine_contrastive' with model.comparator 'dot'; allowed: with"
        " 'cosine'",
    ),
    (
        ["loss.kind=cosine_contrastive", "loss.margin=1"],
        "loss.margin: 1.0 is out of range; allowed: [-1, 1)",
    ),
    (
        ["loss.temperature=0"],
        "loss.temperature: 0.0 is out of range; allowed: (0, inf)",
    ),
    (
        ["loss.temperature=1e999"],
        "loss.temperature: inf is out of range; allowed: (0, inf)",
    ),
    (
        ["loss={lhs_weight: 0, rhs_weight: 0}"],
        "loss.rhs_weight: both sides weigh 0; allowed: one above 0",
    ),
    (
        ["loss.dura=-1"],
        "loss.dura: -1.0 is out of range; allowed: [0, inf)",
    ),
    (
        ["loss.dura=0.1"],
        "loss.dura: above 0 with model.comparator 'cosine'; allowed: with 'dot'",
    ),
    (
        ["loss.relation_weight=-1"],
        "loss.relation_weight: -1.0 is out of range; allowed: [0, inf)",
    ),
    (
        ["loss.relation_weight=1"],
        "loss.relation_weight: above 0, and no two relations to tell apart; "
        "allowed: with several relations between the same entity types, one of them "
        "with an operator other than 'identity'",
    ),
    (
        [
            "loss.relation_weight=1",
            "model.comparator=negative_l1",
            "graph.relations[0].name='*'",
        ],
        "loss.relation_weight: above 0 with model.comparator 'negative_l1'; "
        "allowed: with 'cosine', 'dot', 'negative_l2', 'negative_squared_l2'",
    ),
    (
        ["optimizer.eps=1"],
        "optimizer.eps: 1.0 is out of range; allowed: (0, 1)",
    ),
    (
        ["optimizer={beta1: 1, beta2: 1}"],
        "optimizer.beta1: 1.0 is out of range; allowed: [0, 1)\n"
        "optimizer.beta2: 1.0 is out of range; allowed: [0, 1)",
    ),
    (
        ["relation_optimizer.kind=rowwise_adagrad"],
        "relation_optimizer.kind: 'rowwise_adagrad' is for tables; allowed: "
        "'adagrad', 'adam', 'sgd'",
    ),
    (
        ["relation_optimizer.kind=lamb"],
        "relation_optimizer.kind: 'lamb' is for tables; allowed: 'adagrad', 'adam',"
        " 'sgd'",
    ),
    (
        ["schedule.final_factor=2"],
        "schedule.final_factor: 2.0 is out of range; allowed: [0, 1]",
    ),
    (
        ["schedule.kind=plateau"],
        "evaluation.best_metric: missing; needed by schedule.kind 'plateau'",
    ),
    (
        ["training.num_epochs=0"],
        "training.num_epochs: 0 is too small; allowed: at least 1",
    ),
    (
        ["training.max_steps=0"],
        "training.max_steps: 0 is too small; allowed: at least 1",
    ),
    (
        ["training.seed=-1"],
        "training.seed: -1 is too small; allowed: at least 0",
    ),
    (
        ["runtime={device: cpu}", "training.precision=tf32"],
        "training.precision: 'tf32' on the CPU; allowed: 'bfloat16', 'float32'",
    ),
    (
        ["runtime={device: cpu}", "optimizer.kind=adam"],
        "optimizer.kind: 'adam' in the kernel 'fused' on the CPU; allowed: "
        "'adagrad', 'rowwise_adagrad', 'sgd', or 'adam' with the table's kernel "
        "'dense'",
    ),
    (
        [
            "runtime={device: cpu}",
            "graph.entity_types[1].table.optimizer=partial_rowwise_adam",
        ],
        "graph.entity_types[1].table.optimizer: 'partial_rowwise_adam' in the "
        "kernel 'fused' on the CPU; allowed: 'adagrad', 'rowwise_adagrad', 'sgd', "
        "or 'adam' with the table's kernel 'dense'",
    ),
    (
        [
            "runtime={device: cpu}",
            "graph.entity_types[0].table={placement: uvm_caching, dtype: float16, "
            "stochastic_rounding: true}",
        ],
        "graph.entity_types[0].table.placement: 'uvm_caching' on the CPU; allowed: "
        "'device'\n"
        "graph.entity_types[0].table.stochastic_rounding: true on the CPU; allowed:"
        " false",
    ),
    (
        ["runtime.num_threads=0"],
        "runtime.num_threads: 0 is too small; allowed: at least 1",
    ),
    (
        ["runtime.collective_timeout_secs=0"],
        "runtime.collective_timeout_secs: 0 is too small; allowed: at least 1",
    ),
    (
        ["checkpoint.keep_last=0"],
        "checkpoint.keep_last: 0 is too small; allowed: at least 1",
    ),
    (
        ["export={num_shards: 0, index_recall: 0}"],
        "export.num_shards: 0 is too small; allowed: at least 1\n"
        "export.index_recall: 0.0 is out of range; allowed: (0, 1]",
    ),
    (
        [
            "export.align_to_previous=true",
            "model.comparator=negative_l1",
            "graph.relations[1].operator=diagonal",
        ],
        "export.align_to_previous: turned vectors have other scores with"
        " 'negative_l1'; allowed: with other comparators, or false\n"
        "export.align_to_previous: 'diagonal' of graph.relations[1] treats"
        " dimensions one by one; allowed: with 'affine', 'identity', 'linear',"
        " 'translation', or false",
    ),
)

BROKEN_EVALUATIONS: Sequence[Broken] = (
    (
        ["evaluation.hits_at=[1, 0]"],
        "evaluation.hits_at[1]: 0 is too small; allowed: at least 1",
    ),
    (
        ["evaluation.hits_at=[1, 1]"],
        "evaluation.hits_at: a number is repeated in [1, 1]; allowed: each number once",
    ),
    (
        ["evaluation.retrieval_relations=like"],
        "evaluation.retrieval_relations[0]: unknown relation 'like'; known: "
        "'follows', 'likes'; did you mean 'likes'?",
    ),
    (
        ["evaluation.early_stopping_patience=3"],
        "evaluation.best_metric: missing; needed by evaluation.early_stopping_patience",
    ),
    (
        ["evaluation.best_metric=valid/link_prediction/filtered/mrr"],
        "evaluation.best_metric: unknown metric "
        "'valid/link_prediction/filtered/mrr'; known: "
        "'link_prediction/filtered/hits@1', 'link_prediction/filtered/hits@10', "
        "'link_prediction/filtered/hits@3', 'link_prediction/filtered/mrr', "
        "'link_prediction/raw/hits@1', 'link_prediction/raw/hits@10', "
        "'link_prediction/raw/hits@3', 'link_prediction/raw/mrr'; did you mean "
        "'link_prediction/filtered/mrr'?",
    ),
    (
        ["evaluation.best_metric=link_prediction/filtered/mrr/relation=like"],
        "evaluation.best_metric: unknown relation 'like'; known: 'follows', "
        "'likes'; did you mean 'likes'?",
    ),
    (
        ["evaluation={best_metric: retrieval/recall@20}"],
        "evaluation.best_metric: unknown metric 'retrieval/recall@20'; known: "
        "'link_prediction/filtered/hits@1', 'link_prediction/filtered/hits@10', "
        "'link_prediction/filtered/hits@3', 'link_prediction/filtered/mrr', "
        "'link_prediction/raw/hits@1', 'link_prediction/raw/hits@10', "
        "'link_prediction/raw/hits@3', 'link_prediction/raw/mrr'",
    ),
    (
        ["evaluation={best_metric: link_prediction/filtered/mrr, interval_epochs: 0}"],
        "evaluation.interval_epochs: 0 never measures evaluation.best_metric; "
        "allowed: at least 1",
    ),
    (
        [
            "evaluation={best_metric: link_prediction/filtered/mrr}",
            "data.raw.train.paths=a",
        ],
        "evaluation.best_metric: no validation edges; allowed: unset",
    ),
    (
        ["evaluation.mixture={}"],
        "evaluation.mixture: no retrieval to measure it by; allowed: with "
        "evaluation.retrieval_relations",
    ),
    (
        [
            "evaluation={retrieval_relations: likes, mixture: {num_clusters: 0, "
            "smoothing: 1.5}}"
        ],
        "evaluation.mixture.num_clusters: 0 is too small; allowed: at least 1\n"
        "evaluation.mixture.smoothing: 1.5 is out of range; allowed: [0, 1]",
    ),
    (
        [
            "evaluation.best_metric=link_prediction/filtered/mrr",
            "data.encoded.train=a",
            "graph.entity_types[0].num_entities=5",
            "graph.entity_types[1].num_entities=5",
        ],
        "evaluation.best_metric: no validation edges; allowed: unset",
    ),
)
