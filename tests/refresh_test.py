# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A model that is trained again the next day, from its checkpoint and its bundle."""

from pathlib import Path

import pytest

from tests.train_command import TrainCommand

_NEXT_DAY = ("training.seed=1", "training.num_epochs=1")
_BUNDLE = "export={bundle_root: ../bundle, index: none, align_to_previous: true}"


@pytest.fixture(scope="module", name="first_day")
def _first_day(tmp_path_factory: pytest.TempPathFactory) -> TrainCommand:
    command = TrainCommand(
        tmp_path_factory.mktemp("refresh") / "first", overrides=[_BUNDLE]
    )
    command.run()
    return command


@pytest.mark.parametrize("source", ["checkpoint=%s/first", "bundle=%s/bundle"])
def test_warm_start_stays_near_the_day_before_and_reports_it(
    first_day: TrainCommand, tmp_path: Path, source: str
) -> None:
    name, _, path = (source % first_day.folder.parent).partition("=")
    next_day = TrainCommand(
        tmp_path / "next", overrides=[*_NEXT_DAY, f"warm_start.{name}={path}"]
    )

    output = next_day.run()

    assert next_day.metrics()["alignment/user/cosine_p50"] > 0.9
    assert "alignment/similarity" in output


def test_training_anew_is_turned_back_when_it_is_exported(
    first_day: TrainCommand, tmp_path: Path
) -> None:
    bundle = first_day.folder.parent / "bundle"
    export = _BUNDLE.replace("../bundle", str(bundle))
    next_day = TrainCommand(tmp_path / "next", overrides=["training.seed=1", export])

    output = next_day.run()

    (line,) = [line for line in output.splitlines() if "event=aligned" in line]
    found = dict(field.split("=") for field in line.split() if "=" in field)
    assert float(found["similarity"]) < 0.5
    assert float(found["aligned"]) > float(found["similarity"]) + 0.1
