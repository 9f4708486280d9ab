# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Starts a command once more, as several ranks on this machine."""

import sys

from twhin.training import launch


def launch_ranks(module: str, num_ranks: int) -> None:
    """Runs a command's module on ranks with this command line; waits for their end.

    A rank that fails is not started again.

    Args:
      module: The module of the command.
      num_ranks: How many.

    Raises:
      TrainingError, SystemExit: See `launch.launch`.
    """
    job = launch.Launch(
        nproc_per_node=num_ranks,
        nnodes="1",
        node_rank=0,
        rdzv_endpoint=None,
        rdzv_id="twhin",
        max_restarts=0,
    )
    launch.launch(job, module, sys.argv[1:])
