# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What a run measured over its steps: OUTPUT_DIR/history.jsonl, an object a line.

{"step": 50, "loss": 3.2, "edges_per_sec": 250000.0, ...}
{"step": 80, "epoch": 1, "valid/link_prediction/filtered/mrr": 0.29, ...}
"""

import json
from collections.abc import Mapping
from pathlib import Path

HISTORY_FILE = "history.jsonl"


class History:
    """Appends to the file of a run."""

    def __init__(self, folder: Path, *, step: int) -> None:
        """Opens the file and drops what lies behind a step, after a resume.

        Args:
          folder: The run's folder.
          step: The number of steps that have been taken.
        """
        self._path = folder / HISTORY_FILE
        kept = [entry for entry in read_history(folder) if entry["step"] <= step]
        aside = self._path.with_name(f".{HISTORY_FILE}")
        aside.write_text("".join(json.dumps(entry) + "\n" for entry in kept))
        aside.replace(self._path)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Appends what was measured after so many steps."""
        with self._path.open("a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")


def read_history(folder: Path) -> list[dict[str, float]]:
    """Returns the entries of a run's folder, in order; none without a file.

    A last line that was cut off by a crash is left out.
    """
    path = folder / HISTORY_FILE
    if not path.exists():
        return []
    lines = path.read_text().split("\n")
    return [json.loads(line) for line in lines[:-1] if line]
