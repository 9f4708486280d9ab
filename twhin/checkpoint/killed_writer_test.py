# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that a writer killed at any moment leaves complete checkpoints only."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from twhin.checkpoint.folders import list_checkpoints, step_of
from twhin.checkpoint.load_newest import load_newest
from twhin.checkpoint.reader import CheckpointReader
from twhin.testing.small_state import SCHEMA, Model, assert_equal_bits

# Many small saves: the kill falls on any of their stages.
_SAVE_FOREVER = """
import itertools, sys
from pathlib import Path
from twhin.testing.small_state import Model, make_writer
from twhin.checkpoint.training_state import Progress

writer = make_writer(Path(sys.argv[1]), keep_last=2)
for step in itertools.count(int(sys.argv[2])):
    writer.save(Model(step % 5).state(), Progress(step=step, epoch=0))
    print(step, flush=True)
"""


@pytest.mark.parametrize("seed", range(3))
def test_only_complete_checkpoints_are_seen(tmp_path: Path, seed: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _SAVE_FOREVER, str(tmp_path), str(100 * seed)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    for _ in range(5):
        process.stdout.readline()
    time.sleep(random.Random(seed).uniform(0, 0.05))

    process.kill()
    process.wait()
    process.stdout.close()

    found = list_checkpoints(tmp_path)
    assert len(found) in (2, 3)
    for folder in found:
        assert CheckpointReader(folder).step == step_of(folder)
    loaded = Model(9)
    progress = load_newest(tmp_path, loaded.state(), schema=SCHEMA, group=None)
    assert progress is not None
    assert_equal_bits(loaded.tensors(), Model(progress.step % 5).tensors())
