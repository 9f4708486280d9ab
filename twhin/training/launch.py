# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Starts the ranks of a job with torch's elastic launcher (torchrun)."""

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from torch.distributed import run
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from twhin.errors import TrainingError

TERMINATED_EXIT_CODE = 128 + signal.SIGTERM
"""The exit code of a run that saved its state and stopped after a SIGTERM."""

# How long launchers wait for each other: when they meet, and for an answer of the
# one where they meet. A launcher that gave up ends the job on all nodes, so that
# this must be longer than a network may be away.
_RENDEZVOUS_TIMEOUT_SECS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """The processes of a job, in torchrun's words.

    Attributes:
      nproc_per_node: Ranks on this node.
      nnodes: Nodes: "2", or "1:4" for a job that grows and shrinks.
      node_rank: The number of this node; for a static rendezvous.
      rdzv_endpoint: HOST:PORT where the nodes meet; None for one node.
      rdzv_id: The name of the job, the same on all nodes.
      max_restarts: How often ranks are started again after one failed; they
        continue from the newest checkpoint.
    """

    nproc_per_node: int
    nnodes: str
    node_rank: int
    rdzv_endpoint: str | None
    rdzv_id: str
    max_restarts: int


def is_rank() -> bool:
    """Returns whether this process is a rank that a launcher has started."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def launch(job: Launch, module: str, arguments: Sequence[str]) -> None:
    """Runs a module on all ranks of this node and waits for their end.

    Args:
      job: How many.
      module: The module, run as `python -m MODULE ARGUMENTS`.
      arguments: The command line of each rank.

    Raises:
      TrainingError: A rank failed, and more often than `max_restarts`.
      SystemExit: A SIGTERM ended the job, with `TERMINATED_EXIT_CODE`.
    """
    # Ranks find the same modules, also below Bazel.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    # With a shared store, ranks that start again meet the addresses of those that
    # failed (torch 2.13).
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    options = [
        f"--nproc-per-node={job.nproc_per_node}",
        f"--nnodes={job.nnodes}",
        f"--max-restarts={job.max_restarts}",
    ]
    if job.rdzv_endpoint is None:
        options += ["--standalone"]
    else:
        options += [
            "--rdzv-backend=c10d",
            f"--rdzv-endpoint={job.rdzv_endpoint}",
            f"--rdzv-id={job.rdzv_id}",
            f"--node-rank={job.node_rank}",
            f"--rdzv-conf=join_timeout={_RENDEZVOUS_TIMEOUT_SECS},"
            f"read_timeout={_RENDEZVOUS_TIMEOUT_SECS}",
        ]
    try:
        run.main([*options, "--module", module, *arguments])
    except SignalException as err:
        raise SystemExit(TERMINATED_EXIT_CODE) from err
    except ChildFailedError as err:
        rank, failure = err.get_first_failure()
        raise TrainingError(
            f"rank {rank}: ended with code {failure.exitcode}; its own output says why"
        ) from err
