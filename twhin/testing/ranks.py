# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Runs a function on the ranks of a gloo process group, for tests."""

import datetime
import pickle
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")


def run_ranks(
    function: Callable[..., T], world_size: int, *args: Any, timeout_secs: float = 120
) -> list[T]:
    """Calls a function on each rank of a new process group.

    Args:
      function: A function of a module; called as function(*args) in a process of
        its own, in which torch.distributed is initialised with gloo.
      world_size: The number of processes.
      *args: Arguments that can be pickled.
      timeout_secs: Bounds the whole call; a collective has half of it.

    Returns:
      The results by rank.

    Raises:
      Exception: What the first failing rank raised.
    """
    with tempfile.TemporaryDirectory() as folder:
        rendezvous = f"file://{Path(folder, 'rendezvous')}"
        with ProcessPoolExecutor(world_size, get_context("spawn")) as pool:
            calls = [
                pool.submit(
                    _call, rank, world_size, rendezvous, timeout_secs, function, args
                )
                for rank in range(world_size)
            ]
            return [pickle.loads(call.result(timeout_secs)) for call in calls]


def _call(
    rank: int,
    world_size: int,
    rendezvous: str,
    timeout_secs: float,
    function: Callable[..., Any],
    args: tuple[Any, ...],
) -> bytes:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=rendezvous,
        rank=rank,
        world_size=world_size,
        # A rank that waits for one that failed ends, and with it the pool.
        timeout=datetime.timedelta(seconds=timeout_secs / 2),
    )
    try:
        # Tensors are pickled by value: the sender ends before the receiver reads.
        return pickle.dumps(function(*args))
    finally:
        dist.destroy_process_group()
