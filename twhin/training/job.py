# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The processes of a training job: this one's rank, device and threads."""

import contextlib
import datetime
import os
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import HashStore

from twhin import allocator
from twhin.config.settings import Device, Runtime
from twhin.errors import ConfigError

_DEFAULT_TIMEOUT = datetime.timedelta(minutes=30)
# Preparing a graph of billions of edges keeps the other ranks waiting.
_PREPARATION_TIMEOUT = datetime.timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """This process among those that train together.

    Attributes:
      rank: Its number, in [0, world_size).
      world_size: The number of processes, on all nodes.
      device: Where its tensors are.
      group: All ranks; None where there is one.
      timeout: How long a rank waits for the others in a collective.
    """

    rank: int
    world_size: int
    device: torch.device
    group: dist.ProcessGroup | None
    timeout: datetime.timedelta = _DEFAULT_TIMEOUT

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, which logs and writes what is written once."""
        return self.rank == 0

    def sum_over_ranks(self, values: torch.Tensor) -> torch.Tensor:
        """Returns the sum over all ranks; a collective that changes `values`."""
        if self.group is not None:
            dist.all_reduce(values, group=self.group)
        return values

    def new_cpu_group(self) -> dist.ProcessGroup | None:
        """Returns a gloo group of all ranks for another thread; a collective.

        None where there is one rank.
        """
        return (
            None
            if self.group is None
            else dist.new_group(backend="gloo", timeout=self.timeout)
        )

    def wait_for_first(self, name: str) -> None:
        """Returns when rank 0 has called it too, however long that takes.

        Args:
          name: Tells one wait from another; each is used once.
        """
        if self.group is None:
            return
        store = dist.distributed_c10d._get_default_store()
        if self.is_first:
            store.set(f"twhin/{name}", "done")
        else:
            store.wait([f"twhin/{name}"], _PREPARATION_TIMEOUT)


@contextlib.contextmanager
def join_job(runtime: Runtime) -> Iterator[Job]:
    """Joins the process group that torchrun's variables describe.

    Without these variables the process is alone.

    Args:
      runtime: Device, threads and timeouts.

    Raises:
      ConfigError: The device does not exist.
    """
    rank = int(os.environ.get("RANK", "0"))
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    local_world_size = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    device = choose_device(runtime.device, local_rank)
    allocator.keep_large_buffers()
    torch.set_num_threads(
        runtime.num_threads or max(1, len(os.sched_getaffinity(0)) // local_world_size)
    )
    backend = "gloo" if device.type == "cpu" else "cpu:gloo,cuda:nccl"
    timeout = datetime.timedelta(seconds=runtime.collective_timeout_secs)
    if "RANK" in os.environ:
        dist.init_process_group(backend, timeout=timeout)
    else:
        dist.init_process_group(backend, store=HashStore(), rank=0, world_size=1)
    try:
        yield Job(
            rank=rank,
            world_size=world_size,
            device=device,
            group=dist.group.WORLD if world_size > 1 else None,
            timeout=timeout,
        )
    finally:
        dist.destroy_process_group()


def choose_device(device: Device, local_rank: int) -> torch.device:
    """Returns the device of a rank, and makes it CUDA's current one.

    Args:
      device: The choice of the configuration.
      local_rank: The number of the rank on its node.

    Raises:
      ConfigError: CUDA is asked for and has no device of that number.
    """
    num_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device is Device.CPU or (device is Device.AUTO and not num_devices):
        return torch.device("cpu")
    if local_rank >= num_devices:
        raise ConfigError(
            f"runtime.device: 'cuda' with {num_devices} devices and local rank"
            f" {local_rank}; allowed: a device for each rank of the node, or 'cpu'"
        )
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)
