# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Trains the embeddings of a graph, evaluates them, and says what to do next.

Without --config it makes a demonstration graph. Raw edges are prepared first.
Where OUTPUT_DIR has checkpoints of the same run, training goes on from the newest;
a run that ended is only evaluated again. After a SIGTERM the run saves its
state and ends with code 143.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from twhin.bin import command
from twhin.bin import flags as run_flags
from twhin.bin.step_bar import StepBar
from twhin.config.resolved_config import ResolvedConfig

_MODULE = "twhin.bin.train"

_RESTART = flags.DEFINE_boolean(
    "restart",
    False,
    "Deletes the checkpoints of OUTPUT_DIR and trains from the start.",
)
_SPLIT = flags.DEFINE_multi_enum(
    "split",
    ["valid", "test"],
    ["valid", "test"],
    "The held-out edges that are ranked at the end. Repeatable.",
)
_NPROC_PER_NODE = flags.DEFINE_integer(
    "nproc_per_node", 1, "Ranks on this node: one per GPU.", lower_bound=1
)
_NNODES = flags.DEFINE_string(
    "nnodes", "1", "Nodes of the job: '2', or '1:4' for one that grows and shrinks."
)
_NODE_RANK = flags.DEFINE_integer(
    "node_rank", 0, "The number of this node, from 0.", lower_bound=0
)
_RDZV_ENDPOINT = flags.DEFINE_string(
    "rdzv_endpoint",
    None,
    "HOST:PORT of the first node, where all nodes of the job meet.",
)
_RDZV_ID = flags.DEFINE_string(
    "rdzv_id", "twhin", "The name of the job, the same on all nodes."
)
_MAX_RESTARTS = flags.DEFINE_integer(
    "max_restarts",
    3,
    "How often the ranks start again, from the newest checkpoint, after one failed.",
    lower_bound=0,
)


def main(arguments: Sequence[str]) -> None:
    """Trains here, or launches the ranks that train."""
    del arguments
    config = run_flags.load_config()
    if run_flags.PRINT_CONFIG.value:
        print(config.text, end="")
        return
    # torch takes seconds to import, which --help and faults need not wait for.
    from twhin.training import launch

    is_alone = _NPROC_PER_NODE.value == 1 and _NNODES.value == "1"
    if launch.is_rank() or is_alone:
        _train(config, run_flags.output_dir())
        return
    job = launch.Launch(
        nproc_per_node=_NPROC_PER_NODE.value,
        nnodes=_NNODES.value,
        node_rank=_NODE_RANK.value,
        rdzv_endpoint=_RDZV_ENDPOINT.value,
        rdzv_id=_RDZV_ID.value,
        max_restarts=_MAX_RESTARTS.value,
    )
    launch.launch(job, _MODULE, sys.argv[1:])


def _train(config: ResolvedConfig, output_dir: Path) -> None:
    from twhin.bin import after_training
    from twhin.bin.earlier_model import open_earlier_model
    from twhin.graph.open_graph import open_graph, open_prepared
    from twhin.training.job import join_job
    from twhin.training.launch import TERMINATED_EXIT_CODE
    from twhin.training.training_run import TrainingRun

    with join_job(config.settings.runtime) as job:
        if job.is_first:
            with StepBar() as bar:
                graph = open_graph(config.settings, output_dir, progress=bar)
        job.wait_for_first("prepared graph")
        if not job.is_first:
            graph = open_prepared(config.settings, output_dir)
        run = TrainingRun(
            config,
            graph,
            output_dir,
            job,
            earlier=open_earlier_model(config.settings),
            restart=_is_restarted(),
            splits=_SPLIT.value,
        )
        result = run.run()
        if not result.is_stopped:
            after_training.export(config, output_dir, result, job)
        if job.is_first:
            after_training.report(config, output_dir, result)
    if result.is_stopped:
        sys.exit(TERMINATED_EXIT_CODE)


def _is_restarted() -> bool:
    """Returns whether to begin anew; ranks that the launcher restarts go on."""
    return _RESTART.value and os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"


if __name__ == "__main__":
    command.run(main)
