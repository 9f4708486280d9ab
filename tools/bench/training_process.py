# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Trains in a process of its own: ours, and PyTorch-BigGraph."""

import dataclasses
import json
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tools.bench.measured_process import Measured, run_measured

# Not imported: its flags are not those of a benchmark.
# build: needs //twhin/bin:train
_TRAIN = "twhin.bin.train"
_ROOT = Path(__file__).resolve().parents[2]


def train(config: Path, output: Path, overrides: Iterable[str]) -> Measured:
    """Trains with //twhin:train, or goes on where the run is there.

    Args:
      config: The configuration.
      output: The run's folder.
      overrides: "path.to.field=value" each.
    """
    return run_measured(
        [
            sys.executable,
            "-m",
            _TRAIN,
            f"--config={config}",
            f"--output_dir={output}",
            *(f"--override={one}" for one in overrides),
        ],
        {"PYTHONPATH": _path()},
    )


def train_biggraph(
    script: str, described: Any, folder: Path, biggraph_dir: str
) -> Measured:
    """Trains PyTorch-BigGraph.

    Args:
      script: A file of ours that takes a JSON file and the folder.
      described: A dataclass, what the JSON file has.
      folder: The folder of all files; what was there goes.
      biggraph_dir: A folder with the package torchbiggraph.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    description = folder / "description.json"
    description.write_text(json.dumps(dataclasses.asdict(described)))
    return run_measured(
        [sys.executable, script, str(description), str(folder)],
        {"PYTHONPATH": _path(biggraph_dir), "PYTHONWARNINGS": "ignore"},
    )


def _path(*first: str) -> str:
    return os.pathsep.join([*first, str(_ROOT), *sys.path])
