# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A server of a bundle for as long as it is needed."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# build: needs //twhin/bin:serve

_LINE = re.compile(r"serving on (\S+) port=(\d+)")
_STOP_SECS = 30


@contextlib.contextmanager
def serve(bundle: Path) -> Iterator[str]:
    """Starts //twhin:serve with one worker; yields its address.

    Args:
      bundle: The root of a bundle.

    Raises:
      RuntimeError: The server did not start; it has said why on stderr.
    """
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "twhin.bin.serve"),
            *(f"--bundle={bundle}", "--host=127.0.0.1", "--port=0", "--num_workers=1"),
            "--log_level=warning",
        ],
        # Under Bazel the modules are where only this process was told to look.
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p or "." for p in sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        match = _LINE.search(process.stdout.readline())
        if match is None:
            raise RuntimeError(f"{bundle}: the server did not start")
        yield f"{match[1]}:{match[2]}"
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
