# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Training that is killed or stopped goes on to the same bits."""

import random
import signal
import time
from pathlib import Path

import pytest

from tests.train_command import TrainCommand, kill_group
from twhin.training.launch import TERMINATED_EXIT_CODE


@pytest.fixture(scope="module", name="undisturbed")
def _undisturbed(tmp_path_factory: pytest.TempPathFactory) -> TrainCommand:
    command = TrainCommand(tmp_path_factory.mktemp("undisturbed") / "run")
    command.run()
    return command


def test_equal_seeds_give_equal_tables(
    undisturbed: TrainCommand, tmp_path: Path
) -> None:
    again = TrainCommand(tmp_path / "run")
    other = TrainCommand(tmp_path / "other", overrides=["training.seed=1"])

    again.run()
    other.run()

    assert again.digest() == undisturbed.digest()
    assert other.digest() != undisturbed.digest()


def test_run_that_is_killed_three_times_ends_with_the_same_tables(
    undisturbed: TrainCommand, tmp_path: Path
) -> None:
    command = TrainCommand(tmp_path / "run")
    draw = random.Random(0)

    for _ in range(3):
        process = command.start()
        command.wait_for_step(command.newest_step() + 5)
        time.sleep(draw.uniform(0.0, 0.05))
        assert kill_group(process) == -signal.SIGKILL
    steps_before = command.newest_step()
    output = command.run()

    assert 0 < steps_before < undisturbed.newest_step()
    assert f"event=resumed step={steps_before} " in output
    assert command.digest() == undisturbed.digest()
    assert command.metrics() == undisturbed.metrics()


def test_sigterm_saves_the_step_and_the_run_goes_on(
    undisturbed: TrainCommand, tmp_path: Path
) -> None:
    command = TrainCommand(
        tmp_path / "run", overrides=["checkpoint.interval_steps=1000"]
    )
    process = command.start()
    assert process.stdout is not None
    for line in process.stdout:
        if "step=10 " in line:
            break

    code = kill_group(process, signal.SIGTERM)
    stopped_at = command.newest_step()
    command.run()

    assert code == TERMINATED_EXIT_CODE
    assert 10 <= stopped_at < undisturbed.newest_step()
    assert command.digest() == undisturbed.digest()


def test_checkpoints_of_another_run_are_refused(undisturbed: TrainCommand) -> None:
    command = TrainCommand(undisturbed.folder, overrides=["model.embedding_dim=16"])

    process = command.start()
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 2
    assert "model.embedding_dim was 8 and is 16" in output
