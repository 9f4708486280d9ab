# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The fixed choices of resolved settings; import them from `settings`.

Those of scores, which are of bundles too, are in `twhin.scoring`.

Each class mirrors the enum of the same name in proto/twhin/v1, whose comments say
what the values mean; the value that stands for the default is left out.
"""

from enum import StrEnum


class RareEntities(StrEnum):
    """`twhin.v1.RareEntities`."""

    DROP = "drop"
    SHARED_ROW = "shared_row"


class Dtype(StrEnum):
    """`twhin.v1.Dtype`."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"


class OptimizerKind(StrEnum):
    """`twhin.v1.OptimizerKind`."""

    SGD = "sgd"
    ADAGRAD = "adagrad"
    ROWWISE_ADAGRAD = "rowwise_adagrad"
    ADAM = "adam"
    PARTIAL_ROWWISE_ADAM = "partial_rowwise_adam"
    LAMB = "lamb"


class Kernel(StrEnum):
    """`twhin.v1.Kernel`."""

    FUSED = "fused"
    DENSE = "dense"


class Placement(StrEnum):
    """`twhin.v1.Placement`."""

    DEVICE = "device"
    UVM = "uvm"
    UVM_CACHING = "uvm_caching"


class FrozenRows(StrEnum):
    """`twhin.v1.FrozenRows`."""

    NONE = "none"
    KEPT = "kept"
    ALL = "all"


class Sharding(StrEnum):
    """`twhin.v1.Sharding`."""

    ROW_WISE = "row_wise"
    TABLE_WISE = "table_wise"
    COLUMN_WISE = "column_wise"


class FileFormat(StrEnum):
    """`twhin.v1.FileFormat`."""

    PARQUET = "parquet"
    CSV = "csv"
    TSV = "tsv"
    JSON_LINES = "json_lines"


class Duplicates(StrEnum):
    """`twhin.v1.Duplicates`."""

    KEEP = "keep"
    DROP = "drop"
    SUM_WEIGHTS = "sum_weights"


class UnseenEntities(StrEnum):
    """`twhin.v1.UnseenEntities`."""

    DROP = "drop"
    KEEP = "keep"


class Projection(StrEnum):
    """`twhin.v1.Projection`."""

    NONE = "none"
    UNIT_NORM = "unit_norm"
    MAX_NORM = "max_norm"


class KnownEdges(StrEnum):
    """`twhin.v1.KnownEdges`."""

    SELF = "self"
    BATCH = "batch"
    TRAIN = "train"


class LossKind(StrEnum):
    """`twhin.v1.LossKind`."""

    LOGISTIC = "logistic"
    SOFTMAX = "softmax"
    RANKING = "ranking"
    SELF_ADVERSARIAL = "self_adversarial"
    COSINE_CONTRASTIVE = "cosine_contrastive"


class ScheduleKind(StrEnum):
    """`twhin.v1.ScheduleKind`."""

    CONSTANT = "constant"
    LINEAR = "linear"
    COSINE = "cosine"
    STEP = "step"
    PLATEAU = "plateau"


class Precision(StrEnum):
    """`twhin.v1.Precision`."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    TF32 = "tf32"


class NewRows(StrEnum):
    """`twhin.v1.NewRows`."""

    RANDOM = "random"
    NEIGHBORS = "neighbors"
    VECTORS = "vectors"


class ExportFormat(StrEnum):
    """`twhin.v1.ExportFormat`."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8 = "int8"


class IndexChoice(StrEnum):
    """`twhin.v1.IndexChoice`."""

    AUTO = "auto"
    NONE = "none"
    EXACT = "exact"
    IVF_FP16 = "ivf_fp16"
    IVF_PQ = "ivf_pq"


class Device(StrEnum):
    """`twhin.v1.Device`."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
