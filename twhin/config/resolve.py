# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Every default of a configuration."""

from collections.abc import Mapping

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from twhin.config import paths
from twhin.config.load import descriptor_of
from twhin.v1 import graph_pb2, train_config_pb2

DEFAULTS: Mapping[str, Mapping[str, object]] = {
    "EntityType": {"min_degree": 1, "rare_entities": "RARE_ENTITIES_DROP"},
    "Table": {
        "dtype": "DTYPE_FLOAT32",
        "sharding": "SHARDING_ROW_WISE",
        "kernel": "KERNEL_FUSED",
        "placement": "PLACEMENT_DEVICE",
        "frozen_rows": "FROZEN_ROWS_NONE",
    },
    "Relation": {
        "operator": "OPERATOR_TRANSLATION",
        "loss_weight": 1.0,
        "sampling_rate": 1.0,
    },
    "RawEdges": {
        "duplicates": "DUPLICATES_KEEP",
        "unseen_entities": "UNSEEN_ENTITIES_DROP",
    },
    "EdgeSource": {"lhs": "lhs", "rhs": "rhs", "sampling_rate": 1.0},
    "DemoGraph": {
        "num_users": 8000,
        "num_tweets": 12000,
        "num_advertisements": 500,
        "num_edges": 200000,
        "seed": 0,
    },
    "Model": {
        "embedding_dim": 128,
        "comparator": "COMPARATOR_COSINE",
        "reciprocal": True,
        "projection": "PROJECTION_NONE",
    },
    "Negatives": {
        "chunk_size": 1000,
        "degree_alpha": 0.75,
        "mask_known": "KNOWN_EDGES_BATCH",
    },
    "Loss": {
        "kind": "LOSS_KIND_SOFTMAX",
        "adversarial_temperature": 1.0,
        "negative_weight": 1.0,
        "lhs_weight": 1.0,
        "rhs_weight": 1.0,
    },
    "Optimizer": {
        "kind": "OPTIMIZER_KIND_ROWWISE_ADAGRAD",
        "learning_rate": 0.1,
        "eps": 1e-8,
        "beta1": 0.9,
        "beta2": 0.999,
    },
    "Schedule": {
        "kind": "SCHEDULE_KIND_CONSTANT",
        "step_epochs": 1,
        "step_factor": 0.5,
        "plateau_patience": 1,
    },
    "Training": {
        "num_epochs": 10,
        "batch_size": 10000,
        "seed": 0,
        "shuffle_window": 1000000,
        "precision": "PRECISION_FLOAT32",
        "log_interval_steps": 50,
    },
    "Evaluation": {
        "link_prediction": True,
        "hits_at": (1, 3, 10),
        "retrieval_at": (10, 20, 50),
        "interval_epochs": 1,
    },
    "Mixture": {
        "num_clusters": 1000,
        "num_interests": 20,
        "smoothing": 0.1,
        "num_neighbors": 10,
    },
    "Checkpoint": {"keep_last": 2},
    "WarmStart": {"new_rows": "NEW_ROWS_RANDOM"},
    "Export": {
        "num_shards": 1,
        "row_format": "EXPORT_FORMAT_FLOAT32",
        "index": "INDEX_CHOICE_AUTO",
        "index_recall": 0.95,
        "keep_last": 2,
    },
    "Runtime": {"device": "DEVICE_AUTO", "collective_timeout_secs": 1800},
}
"""Defaults by message and field; fields that are not named default to zero, or
to a value that depends on other fields and is set below."""


def resolve(
    config: train_config_pb2.TrainConfig, *, config_folder: str, root_folder: str
) -> None:
    """Fills in every default, in place.

    Args:
      config: A configuration as the user wrote it.
      config_folder: The folder of the configuration file, absolute.
      root_folder: The folder that a relative `data.root` starts from, absolute.
    """
    data = config.data
    data.root = paths.join(root_folder, data.root) if data.root else config_folder
    for source in (*data.raw.train, *data.raw.valid, *data.raw.test):
        _resolve_source(source)
    _fill(config.optimizer)
    _inherit(config.relation_optimizer, config.optimizer)
    for entity_type in config.graph.entity_types:
        _resolve_table(entity_type.table, config.optimizer)
    _default(
        config.negatives, "num_uniform", 0 if config.negatives.all_entities else 500
    )
    _fill(config)
    _resolve_scores(config.model, config.loss)


def _resolve_scores(model: train_config_pb2.Model, loss: train_config_pb2.Loss) -> None:
    """Sets what depends on the range of the scores."""
    is_cosine = model.comparator == train_config_pb2.COMPARATOR_COSINE
    # The gradient of a cosine falls with the norm: from short rows the first steps
    # would be so large that Adagrad takes tiny ones ever after.
    _default(model, "init_scale", 0.1 if is_cosine else 0.001)
    is_softmax = loss.kind == train_config_pb2.LOSS_KIND_SOFTMAX
    _default(loss, "temperature", 0.1 if is_cosine and is_softmax else 1.0)
    contrastive = train_config_pb2.LOSS_KIND_COSINE_CONTRASTIVE
    _default(loss, "margin", 0.5 if loss.kind == contrastive else 1.0)


def _default(message: Message, name: str, value: float) -> None:
    if not message.HasField(name):
        setattr(message, name, value)


def _resolve_source(source: train_config_pb2.EdgeSource) -> None:
    if not source.relation and not source.rel:
        source.rel = "rel"
    if source.format == train_config_pb2.FILE_FORMAT_UNSPECIFIED:
        first = source.paths[0] if source.paths else ""
        source.format = _format_by_ending(first)


def _format_by_ending(path: str) -> train_config_pb2.FileFormat:
    stem = path
    for packed in (".gz", ".zst", ".zip"):
        stem = stem.removesuffix(packed)
    if stem.endswith(".csv"):
        return train_config_pb2.FILE_FORMAT_CSV
    if stem.endswith(".tsv"):
        return train_config_pb2.FILE_FORMAT_TSV
    if stem.endswith(".jsonl"):
        return train_config_pb2.FILE_FORMAT_JSON_LINES
    return train_config_pb2.FILE_FORMAT_PARQUET


def _inherit(
    relation_optimizer: train_config_pb2.Optimizer,
    optimizer: train_config_pb2.Optimizer,
) -> None:
    if relation_optimizer.kind == graph_pb2.OPTIMIZER_KIND_UNSPECIFIED:
        relation_optimizer.kind = graph_pb2.OPTIMIZER_KIND_ADAGRAD
    if not relation_optimizer.HasField("learning_rate"):
        relation_optimizer.learning_rate = optimizer.learning_rate


def _resolve_table(
    table: graph_pb2.Table, optimizer: train_config_pb2.Optimizer
) -> None:
    if not table.HasField("learning_rate"):
        table.learning_rate = optimizer.learning_rate
    if table.optimizer == graph_pb2.OPTIMIZER_KIND_UNSPECIFIED:
        table.optimizer = optimizer.kind


def _fill(message: Message) -> None:
    """Fills in `DEFAULTS` in a message and all those inside it.

    Messages that are unset are created, but for members of a oneof.
    """
    defaults = DEFAULTS.get(descriptor_of(message).name, {})
    for field in descriptor_of(message).fields:
        if field.message_type is None:
            if field.name in defaults and _is_unset(message, field):
                _set_default(message, field, defaults[field.name])
        elif field.is_repeated:
            for element in getattr(message, field.name):
                _fill(element)
        elif field.containing_oneof is None or message.HasField(field.name):
            child = getattr(message, field.name)
            child.SetInParent()
            _fill(child)


def _is_unset(message: Message, field: FieldDescriptor) -> bool:
    if field.has_presence:
        return not message.HasField(field.name)
    return not getattr(message, field.name)


def _set_default(message: Message, field: FieldDescriptor, value: object) -> None:
    if field.is_repeated:
        getattr(message, field.name).extend(value)
    elif field.enum_type is not None:
        setattr(message, field.name, field.enum_type.values_by_name[str(value)].number)
    else:
        setattr(message, field.name, value)
