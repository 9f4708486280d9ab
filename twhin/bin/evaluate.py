# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Evaluates a checkpoint of a run, saved by any number of ranks.

Without --config it is measured what the run's own configuration says; what may
differ is the part `evaluation` and where the data is. The metrics are printed and
written to OUTPUT_DIR/metrics.json; those of compressed tables are printed beside
the uncompressed ones and written to OUTPUT_DIR/metrics-COMPRESSION.json. What
they mean: docs/evaluation.md.
"""

from collections.abc import Sequence

from absl import flags

from twhin.bin import command
from twhin.bin import flags as run_flags
from twhin.bin.checkpoint_flag import CHECKPOINT

_MODULE = "twhin.bin.evaluate"

_SPLIT = flags.DEFINE_enum(
    "split", "test", ["train", "valid", "test"], "The edges that are ranked."
)
_NUM_CANDIDATES = flags.DEFINE_integer(
    "num_candidates",
    None,
    "Entities of a sample that edges are ranked among, 0 for all; short for"
    " --override=evaluation.num_candidates=N.",
    lower_bound=0,
)
_COMPRESSION = flags.DEFINE_enum(
    "compression",
    "none",
    ["none", "float16", "int8", "pq8", "pq16", "pq32"],
    "Evaluates tables as they are after being stored so: float16; int8 with a scale"
    " and an offset for each row; product quantisation, 8, 16 or 32 times smaller"
    " than float32.",
)
_NPROC_PER_NODE = flags.DEFINE_integer(
    "nproc_per_node",
    1,
    "Ranks that share the tables. One holds all of them in memory.",
    lower_bound=1,
)


def main(arguments: Sequence[str]) -> None:
    """Evaluates here, or launches the ranks that do."""
    del arguments
    # torch takes seconds to import, which --help and wrong flags need not wait for.
    from twhin.bin.evaluation_run import EvaluationRun
    from twhin.bin.local_ranks import launch_ranks
    from twhin.evaluation.report import format_table
    from twhin.training.launch import is_rank

    run = EvaluationRun(
        run_flags.output_dir(),
        config_path=run_flags.config_path(),
        overrides=run_flags.overrides(*_num_candidates()),
        checkpoint=CHECKPOINT.value,
    )
    if run_flags.PRINT_CONFIG.value:
        print(run.config.text, end="")
        return
    if is_rank() or _NPROC_PER_NODE.value == 1:
        result = run.evaluate(_SPLIT.value, _COMPRESSION.value)
        if result is not None:
            print(format_table(result.metrics, result.uncompressed))
            print(f"\nCheckpoint:  {run.checkpoint}")
            print(f"Metrics:     {result.path}")
        return
    launch_ranks(_MODULE, _NPROC_PER_NODE.value)


def _num_candidates() -> list[str]:
    if _NUM_CANDIDATES.value is None:
        return []
    return [f"evaluation.num_candidates={_NUM_CANDIDATES.value}"]


if __name__ == "__main__":
    command.run(main)
