# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The resolved settings of a run: what the components are built from.

Each class mirrors the message of the same name in proto/twhin/v1, whose
comments say what the fields mean, their units and their ranges. Here every
default has been filled in.
"""

from dataclasses import dataclass

from twhin.config.enums import (
    Device,
    Dtype,
    Duplicates,
    ExportFormat,
    FileFormat,
    FrozenRows,
    IndexChoice,
    Kernel,
    KnownEdges,
    LossKind,
    NewRows,
    OptimizerKind,
    Placement,
    Precision,
    Projection,
    RareEntities,
    ScheduleKind,
    Sharding,
    UnseenEntities,
)
from twhin.scoring import Comparator, Operator

# The choices first, then the messages.
__all__ = [
    "Device",
    "Dtype",
    "Duplicates",
    "ExportFormat",
    "FileFormat",
    "FrozenRows",
    "IndexChoice",
    "Kernel",
    "KnownEdges",
    "LossKind",
    "NewRows",
    "OptimizerKind",
    "Placement",
    "Precision",
    "Projection",
    "RareEntities",
    "ScheduleKind",
    "Sharding",
    "UnseenEntities",
    "Table",
    "EntityType",
    "Relation",
    "Graph",
    "EncodedEdges",
    "EdgeSource",
    "Holdout",
    "RawEdges",
    "DemoGraph",
    "Data",
    "Model",
    "Negatives",
    "Loss",
    "Optimizer",
    "Schedule",
    "Training",
    "Mixture",
    "Evaluation",
    "Checkpoint",
    "Runtime",
    "WarmStart",
    "Export",
    "TrainConfig",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """`twhin.v1.Table`."""

    dtype: Dtype
    learning_rate: float
    optimizer: OptimizerKind
    sharding: Sharding
    kernel: Kernel
    placement: Placement
    stochastic_rounding: bool
    l2_to_prior: float
    frozen_rows: FrozenRows


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityType:
    """`twhin.v1.EntityType`; `num_entities` is None until the data is known."""

    name: str
    num_entities: int | None
    min_degree: int
    max_entities: int | None
    rare_entities: RareEntities
    table: Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """`twhin.v1.Relation`."""

    name: str
    lhs: str
    rhs: str
    operator: Operator
    loss_weight: float
    sampling_rate: float
    undirected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """`twhin.v1.Graph`."""

    entity_types: tuple[EntityType, ...]
    relations: tuple[Relation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedEdges:
    """`twhin.v1.EncodedEdges`."""

    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSource:
    """`twhin.v1.EdgeSource`; exactly one of `rel` and `relation` is set."""

    paths: tuple[str, ...]
    format: FileFormat
    lhs: str
    rhs: str
    rel: str | None
    relation: str | None
    weight: str | None
    timestamp: str | None
    filter: str | None
    columns: tuple[str, ...]
    sampling_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdout:
    """`twhin.v1.Holdout`."""

    valid_fraction: float
    test_fraction: float
    by_time: bool
    relations: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RawEdges:
    """`twhin.v1.RawEdges`."""

    train: tuple[EdgeSource, ...]
    valid: tuple[EdgeSource, ...]
    test: tuple[EdgeSource, ...]
    holdout: Holdout
    duplicates: Duplicates
    unseen_entities: UnseenEntities
    base_vocabulary: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoGraph:
    """`twhin.v1.DemoGraph`."""

    num_users: int
    num_tweets: int
    num_advertisements: int
    num_edges: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """`twhin.v1.Data`; exactly one of the four sources is not None."""

    root: str
    prepared: str | None
    encoded: EncodedEdges | None
    raw: RawEdges | None
    demo: DemoGraph | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """`twhin.v1.Model`."""

    embedding_dim: int
    comparator: Comparator
    reciprocal: bool
    init_scale: float
    dropout: float
    projection: Projection
    init_hops: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Negatives:
    """`twhin.v1.Negatives`."""

    chunk_size: int
    in_batch: bool
    num_uniform: int
    num_by_degree: int
    degree_alpha: float
    all_entities: bool
    logq_correction: bool
    mask_known: KnownEdges
    share_across_ranks: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """`twhin.v1.Loss`."""

    kind: LossKind
    temperature: float
    margin: float
    adversarial_temperature: float
    negative_weight: float
    lhs_weight: float
    rhs_weight: float
    l2: float
    n3: float
    dura: float
    relation_weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimizer:
    """`twhin.v1.Optimizer`."""

    kind: OptimizerKind
    learning_rate: float
    eps: float
    beta1: float
    beta2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """`twhin.v1.Schedule`."""

    kind: ScheduleKind
    num_warmup_steps: int
    final_factor: float
    step_epochs: int
    step_factor: float
    plateau_patience: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """`twhin.v1.Training`."""

    num_epochs: int
    max_steps: int | None
    batch_size: int
    seed: int
    shuffle_window: int
    max_gradient_norm: float
    precision: Precision
    log_interval_steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """`twhin.v1.Mixture`."""

    num_clusters: int
    num_interests: int
    smoothing: float
    num_neighbors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """`twhin.v1.Evaluation`."""

    link_prediction: bool
    num_candidates: int
    num_edges: int
    retrieval_relations: tuple[str, ...]
    hits_at: tuple[int, ...]
    retrieval_at: tuple[int, ...]
    interval_epochs: int
    best_metric: str | None
    early_stopping_patience: int
    mixture: Mixture | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """`twhin.v1.Checkpoint`."""

    interval_steps: int
    keep_last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """`twhin.v1.Runtime`; `num_threads` is None for the machine's share."""

    device: Device
    num_threads: int | None
    collective_timeout_secs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmStart:
    """`twhin.v1.WarmStart`; from scratch where both sources are None."""

    checkpoint: str | None
    bundle: str | None
    new_rows: NewRows
    vectors: tuple[str, ...]
    optimizer_state: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """`twhin.v1.Export`; `bundle_root` is None where training exports nothing."""

    bundle_root: str | None
    num_shards: int
    row_format: ExportFormat
    index: IndexChoice
    index_recall: float
    keep_last: int
    align_to_previous: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """`twhin.v1.TrainConfig`, resolved and validated."""

    graph: Graph
    data: Data
    model: Model
    negatives: Negatives
    loss: Loss
    optimizer: Optimizer
    relation_optimizer: Optimizer
    schedule: Schedule
    training: Training
    evaluation: Evaluation
    checkpoint: Checkpoint
    runtime: Runtime
    warm_start: WarmStart
    export: Export
