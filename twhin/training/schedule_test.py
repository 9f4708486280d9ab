# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks the forms of the learning rate by their values."""

import pytest

from twhin.config.settings import Schedule, ScheduleKind
from twhin.training.schedule import learning_rate_factor


def _factors(
    kind: ScheduleKind, *, warmup: int = 0, num_steps: int = 5, final: float = 0.0
) -> list[float]:
    settings = Schedule(
        kind=kind,
        num_warmup_steps=warmup,
        final_factor=final,
        step_epochs=2,
        step_factor=0.5,
        plateau_patience=1,
    )
    return [
        learning_rate_factor(settings, step=step, num_steps=num_steps, epoch=step)
        for step in range(num_steps)
    ]


@pytest.mark.parametrize("kind", [ScheduleKind.CONSTANT, ScheduleKind.PLATEAU])
def test_constant_forms_stay(kind: ScheduleKind) -> None:
    assert _factors(kind) == [1, 1, 1, 1, 1]


def test_warm_up_rises_to_one() -> None:
    assert _factors(ScheduleKind.CONSTANT, warmup=4) == [0.25, 0.5, 0.75, 1, 1]


def test_linear_reaches_the_final_factor_at_the_last_step() -> None:
    assert _factors(ScheduleKind.LINEAR) == [1, 0.75, 0.5, 0.25, 0]
    assert _factors(ScheduleKind.LINEAR, final=0.2)[-1] == pytest.approx(0.2)


def test_linear_falls_after_the_warm_up() -> None:
    factors = _factors(ScheduleKind.LINEAR, warmup=2, num_steps=7)

    assert factors == [0.5, 1, 1, 0.75, 0.5, 0.25, 0]


def test_cosine_is_halfway_down_in_the_middle() -> None:
    assert _factors(ScheduleKind.COSINE, final=0.5) == pytest.approx(
        [1, 0.9267767, 0.75, 0.5732233, 0.5]
    )


def test_step_form_counts_epochs() -> None:
    assert _factors(ScheduleKind.STEP) == [1, 1, 0.5, 0.5, 0.25]


def test_run_of_one_step_has_a_factor() -> None:
    assert _factors(ScheduleKind.LINEAR, num_steps=1) == [1]
