# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A number of torch's threads, for a while."""

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Gives torch `count` threads, and in the end those that it had before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
