# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Measures the warm start of one table: 20 % of its entities gone, 20 % new.

    python -m tools.bench.warm_start --work=/tmp/bench

The folder gets a checkpoint and two vocabularies, and is used again when it is
there. The start is measured in a process of its own. Prints one JSON object:

    secs            by step: opening (which reads all bytes for their checksums),
                    joining the ids, filling the rows
    peak_ratio      the most memory that it took, table included, over the table's
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from absl import app, flags

from tools.bench.measured_process import run_measured
from twhin.checkpoint.table_part import TablePart
from twhin.checkpoint.training_state import Progress, TrainingState
from twhin.checkpoint.writer import CheckpointWriter
from twhin.config.settings import NewRows, WarmStart
from twhin.graph.manifest import (
    FORMAT_VERSION,
    DataFile,
    GraphManifest,
    SplitManifest,
    VocabularyManifest,
)
from twhin.graph.prepared_graph import PreparedGraph
from twhin.graph.schema import EntityTypeSchema, GraphSchema, RelationSchema
from twhin.training.job import Job
from twhin.training.row_init import initialize_rows
from twhin.warm_start import warm_start
from twhin.warm_start.checkpoint_model import CheckpointModel

_WORK = flags.DEFINE_string("work", None, "A folder for files.")
_NUM_ROWS = flags.DEFINE_integer("num_rows", 5_000_000, "Rows of the table.")
_DIM = flags.DEFINE_integer("dim", 128, "D.")
_STRING_IDS = flags.DEFINE_boolean("string_ids", False, "Ids as text.")
_NEW_ROWS = flags.DEFINE_enum_class(
    "new_rows", NewRows.NEIGHBORS, NewRows, "What new rows start from."
)
_STATE = flags.DEFINE_boolean("optimizer_state", True, "Carries the state over.")
_INSIDE = flags.DEFINE_boolean("inside", False, "Measures in this process.")
_CONFIG = """
graph:
  entity_types: [{name: user}]
  relations: [{name: r, lhs: user, rhs: user}]
data: {prepared: before}
"""


def main(argv: Sequence[str]) -> None:
    """Makes the files, and measures."""
    folder = Path(_WORK.value) / f"{_NUM_ROWS.value}x{_DIM.value}-{_STRING_IDS.value}"
    if _INSIDE.value:
        _measure(folder)
        return
    if not (folder / "now").exists():
        _make(folder)
    command = [sys.executable, "-m", "tools.bench.warm_start", *argv[1:]]
    given = [f"--{name}={flags.FLAGS[name].value}" for name in _names()]
    print(run_measured([*command, *given, "--inside"]).output, end="")


def _names() -> list[str]:
    own = flags.FLAGS.flags_by_module_dict()[sys.argv[0]]
    return [flag.name for flag in own if flag.name != "inside"]


def _make(folder: Path) -> None:
    num_rows = _NUM_ROWS.value
    generator = np.random.default_rng(0)
    before = _prepare(folder / "before", generator.permutation(num_rows))
    now = generator.permutation(num_rows) + num_rows // 5
    writer = CheckpointWriter(
        folder / "run/checkpoints",
        schema=before.schema,
        embedding_dim=_DIM.value,
        config_text=_CONFIG,
        config_digest="",
        keep_last=1,
        group=None,
        graph_digest="before",
        prepared=str(folder / "before"),
    )
    rows = torch.empty(num_rows, _DIM.value).normal_()
    part = TablePart(start=0, rows=rows, state={"sum": torch.ones(num_rows)})
    state = TrainingState(
        tables={"user": [part]},
        relations={
            "translation": torch.ones(1, _DIM.value),
            "translation_reciprocal": torch.ones(1, _DIM.value),
        },
        relation_optimizer={},
    )
    writer.save(state, Progress(step=1), wait=True)
    _prepare(folder / "now", now)


def _prepare(folder: Path, ids: npt.NDArray[np.int64]) -> PreparedGraph:
    """Writes a graph with two random edges for each row."""
    num_rows = len(ids)
    column = pa.array(ids)
    if _STRING_IDS.value:
        column = pa.array([f"user-{number:012d}" for number in ids.tolist()])
    degrees = np.ones(num_rows, np.int64)
    vocabulary = _write(
        folder / "vocabulary/user/part-00000.parquet",
        {"id": column, "index": np.arange(num_rows), "degree": degrees},
    )
    lhs, rhs = np.random.default_rng(1).integers(0, num_rows, (2, 2 * num_rows))
    edges = _write(
        folder / "edges/train/part-00000.parquet",
        {"lhs": lhs, "rel": np.zeros(len(lhs), np.int64), "rhs": rhs},
    )
    manifest = GraphManifest(
        format_version=FORMAT_VERSION,
        digest=folder.name,
        schema=GraphSchema(
            entity_types=(EntityTypeSchema(name="user", num_entities=num_rows),),
            relations=(RelationSchema(name="r", lhs="user", rhs="user"),),
        ),
        weighted=False,
        splits={
            "train": _split(folder, edges),
            "valid": _split(folder),
            "test": _split(folder),
        },
        vocabularies=(
            VocabularyManifest(
                entity_type="user",
                id_type="string" if _STRING_IDS.value else "int64",
                num_ids=num_rows,
                num_rare=0,
                num_unseen=0,
                shared_row=None,
                shared_row_degree=0,
                num_new=None,
                num_gone=None,
                degree_quantiles={},
                files=(_file(folder, vocabulary),),
            ),
        ),
        inputs=(),
        warnings=(),
    )
    (folder / "manifest.json").write_text(manifest.to_json())
    return PreparedGraph.open(str(folder))


def _write(path: Path, columns: dict[str, object]) -> Path:
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table(columns), path)
    return path


def _file(folder: Path, path: Path) -> DataFile:
    return DataFile(
        path=str(path.relative_to(folder)),
        num_rows=pq.read_metadata(path).num_rows,
        size_bytes=path.stat().st_size,
    )


def _split(folder: Path, *paths: Path) -> SplitManifest:
    files = tuple(_file(folder, path) for path in paths)
    num_edges = sum(file.num_rows for file in files)
    return SplitManifest(
        num_edges=num_edges,
        num_input_edges=num_edges,
        num_filtered=0,
        num_duplicates=0,
        num_dropped=0,
        edges_by_relation={"r": num_edges},
        files=files,
    )


def _measure(folder: Path) -> None:
    num_rows, dim = _NUM_ROWS.value, _DIM.value
    base = _peak_bytes()
    rows = torch.empty(num_rows, dim)
    part = TablePart(start=0, rows=rows, state={"sum": torch.zeros(num_rows)})
    initialize_rows(
        part, table="user", num_rows=num_rows, embedding_dim=dim, init_scale=0.1, seed=1
    )
    times = [time.perf_counter()]
    source = CheckpointModel.open(folder / "run")
    times.append(time.perf_counter())
    started = warm_start.WarmStart(
        source,
        graph=PreparedGraph.open(str(folder / "now")),
        tables={"user": [part]},
        embedding_dim=dim,
        ranks=Job(rank=0, world_size=1, device=torch.device("cpu"), group=None),
    )
    times.append(time.perf_counter())
    started.fill_rows(
        WarmStart(
            checkpoint="run",
            bundle=None,
            new_rows=_NEW_ROWS.value,
            vectors=(),
            optimizer_state=_STATE.value,
        )
    )
    times.append(time.perf_counter())
    secs = dict(zip(("open", "join", "fill"), np.diff(times).round(1), strict=True))
    peak = _peak_bytes() - base
    result = {
        "num_rows": num_rows,
        "dim": dim,
        "string_ids": _STRING_IDS.value,
        "new_rows": str(_NEW_ROWS.value),
        "num_threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "table_gb": round(rows.nbytes / 1e9, 3),
        "secs": {**secs, "all": round(times[-1] - times[0], 1)},
        "peak_ratio": round(peak / rows.nbytes, 3),
    }
    print(json.dumps(result))


def _peak_bytes() -> int:
    """Returns the most resident memory that this process has had."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmHWM")]
    return 1024 * int(line.split()[1])


if __name__ == "__main__":
    flags.mark_flag_as_required("work")
    app.run(main)
