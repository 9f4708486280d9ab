# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Measures saving and loading one table: time beside dd's, and memory.

    python -m tools.bench.checkpoint --work=/tmp/bench --table_gb=10

dd writes as many zero bytes to the same disk and syncs them, before and after; a
disk that compresses makes it look too good. Prints one JSON object:

    dd_secs         the times of dd
    wait            a save that training waits for: time, its ratio to dd's mean,
                    and the most memory beside the table, as a ratio to the table
    background      a save beside training, the same; `blocked_secs` is how long
                    training waits. Tables above --max_staging_gb are not copied,
                    and training waits for them
    load            reading the checkpoint into the table, checksums included
"""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from absl import app, flags

from twhin.checkpoint.folders import find_checkpoint
from twhin.checkpoint.reader import CheckpointReader
from twhin.checkpoint.table_part import TablePart
from twhin.checkpoint.training_state import Progress, TrainingState
from twhin.checkpoint.writer import DEFAULT_MAX_STAGING_BYTES, CheckpointWriter
from twhin.graph.schema import EntityTypeSchema, GraphSchema

_WORK = flags.DEFINE_string("work", None, "A folder on the disk to measure.")
_TABLE_GB = flags.DEFINE_float("table_gb", 10.0, "The bytes of the rows, in 1e9.")
_DIM = flags.DEFINE_integer("dim", 128, "D.")
_MAX_STAGING_GB = flags.DEFINE_float(
    "max_staging_gb",
    DEFAULT_MAX_STAGING_BYTES / 1e9,
    "The largest table that is copied so that training need not wait.",
)
_DD_BLOCK = 1 << 23


def main(argv: Sequence[str]) -> None:
    """Measures in this process."""
    del argv
    folder = Path(_WORK.value) / "checkpoint-bench"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    num_rows = int(_TABLE_GB.value * 1e9) // (4 * _DIM.value)
    rows = torch.empty(num_rows, _DIM.value).normal_()
    part = TablePart(start=0, rows=rows, state={"sum": torch.ones(num_rows)})
    state = TrainingState(tables={"user": [part]}, relations={}, relation_optimizer={})
    size = rows.nbytes + 4 * num_rows
    schema = GraphSchema(
        entity_types=(EntityTypeSchema(name="user", num_entities=num_rows),),
        relations=(),
    )
    writer = _make_writer(folder / "checkpoints", schema)
    dd_secs = [_run_dd(folder / "dd", size)]
    wait = _measure(lambda: writer.save(state, Progress(step=1), wait=True))
    blocked = []

    def save_beside() -> None:
        start = time.perf_counter()
        writer.save(state, Progress(step=2))
        blocked.append(time.perf_counter() - start)
        writer.close()

    beside = _measure(save_beside)
    dd_secs.append(_run_dd(folder / "dd", size))
    load = _measure(lambda: _load(folder / "checkpoints", state, schema))
    mean = sum(dd_secs) / len(dd_secs)
    print(
        json.dumps(
            {
                "table_gb": round(size / 1e9, 3),
                "num_threads": torch.get_num_threads(),
                "dd_secs": [round(secs, 1) for secs in dd_secs],
                "wait": _describe(wait, mean, size),
                "background": {
                    **_describe(beside, mean, size),
                    "blocked_secs": round(blocked[0], 2),
                },
                "load": _describe(load, mean, size),
            }
        )
    )
    shutil.rmtree(folder)


def _make_writer(folder: Path, schema: GraphSchema) -> CheckpointWriter:
    return CheckpointWriter(
        folder,
        schema=schema,
        embedding_dim=_DIM.value,
        config_text="",
        config_digest="",
        keep_last=1,
        group=None,
        max_staging_bytes=int(_MAX_STAGING_GB.value * 1e9),
    )


def _load(folder: Path, state: TrainingState, schema: GraphSchema) -> None:
    reader = CheckpointReader(find_checkpoint(folder))
    reader.load_into(state, schema=schema)


def _run_dd(path: Path, size: int) -> float:
    start = time.perf_counter()
    command = ["dd", "if=/dev/zero", f"of={path}", f"bs={_DD_BLOCK}", "conv=fsync"]
    subprocess.run(
        [*command, "iflag=count_bytes", f"count={size}"],
        check=True,
        capture_output=True,
    )
    secs = time.perf_counter() - start
    path.unlink()
    return secs


def _measure(function: Callable[[], None]) -> tuple[float, int]:
    """Returns its seconds, and the most resident bytes above those before it."""
    # Resets the peak.
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    start = time.perf_counter()
    function()
    return time.perf_counter() - start, _status("VmHWM") - before


def _describe(
    measured: tuple[float, int], dd_secs: float, size: int
) -> dict[str, float]:
    secs, memory = measured
    return {
        "secs": round(secs, 1),
        "dd_ratio": round(secs / dd_secs, 2),
        "memory_ratio": round(memory / size, 3),
    }


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(field)]
    return 1024 * int(line.split()[1])


if __name__ == "__main__":
    flags.mark_flag_as_required("work")
    app.run(main)
