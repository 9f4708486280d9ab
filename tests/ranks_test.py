# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Runs of several ranks: failures of one, and other numbers of ranks."""

import os
import signal
from pathlib import Path

import pytest

from tests.train_command import TrainCommand, rank_processes


@pytest.fixture(scope="module", name="undisturbed")
def _undisturbed(tmp_path_factory: pytest.TempPathFactory) -> TrainCommand:
    command = TrainCommand(tmp_path_factory.mktemp("undisturbed") / "run", num_ranks=2)
    command.run()
    return command


def test_rank_that_is_killed_starts_again_by_itself(
    undisturbed: TrainCommand, tmp_path: Path
) -> None:
    command = TrainCommand(tmp_path / "run", num_ranks=2)
    process = command.start()
    command.wait_for_step(10)

    os.kill(rank_processes(process)[-1], signal.SIGKILL)
    output, _ = process.communicate(timeout=150)

    assert process.returncode == 0, output
    assert "event=resumed" in output
    assert command.digest() == undisturbed.digest()


@pytest.mark.parametrize("num_ranks", [1, 3])
def test_checkpoint_of_two_ranks_measures_the_same_on_others(
    undisturbed: TrainCommand, num_ranks: int
) -> None:
    expected = undisturbed.metrics()
    (undisturbed.folder / "metrics.json").unlink()

    # The run has ended: it is only evaluated again.
    TrainCommand(undisturbed.folder, num_ranks=num_ranks).run()

    found = undisturbed.metrics()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == (
            pytest.approx(value, abs=1e-9) if isinstance(value, float) else value
        )
