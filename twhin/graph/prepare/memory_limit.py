# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""How much memory a preparation may use."""

import contextlib
import os
import re
from pathlib import Path

from twhin.errors import ConfigError

_SHARE = 0.6
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT]?)(?:i?B)?", re.IGNORECASE)
_CGROUP = Path("/sys/fs/cgroup/memory.max")


def default_memory_limit() -> int:
    """Returns 60 % of the memory of this machine, or of its control group, in bytes."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    # Without a control group, or with "max", the machine's memory counts.
    with contextlib.suppress(OSError, ValueError):
        total = min(total, int(_CGROUP.read_text()))
    return int(total * _SHARE)


def parse_size(text: str) -> int:
    """Returns the bytes of a size like "6GB", "6 GiB", "500M" or "1000".

    Units are powers of 1,024.

    Raises:
      ConfigError: The text is no size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ConfigError(
            f"size {text!r}: not a size; allowed: '6GB', '500MB' and alike"
        )
    return int(float(match[1]) * _UNITS[match[2].upper()])
