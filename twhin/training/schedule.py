# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The factor on every learning rate, over the steps of a run."""

import math

from twhin.config.settings import Schedule, ScheduleKind


def learning_rate_factor(
    settings: Schedule, *, step: int, num_steps: int, epoch: int
) -> float:
    """Returns the factor of a step, but for the plateau form's reductions.

    With w warm-up steps the factor is (step + 1) / w before step w. After it,
    with t = (step - w) / (num_steps - 1 - w) in [0, 1] and f the final factor:

        constant, plateau    1
        linear               1 - t (1 - f)
        cosine               f + (1 - f) (1 + cos(pi t)) / 2
        step                 step_factor ** floor(epoch / step_epochs)

    Reference: Loshchilov and Hutter, arXiv 1608.03983, equation 5 (cosine).

    Args:
      settings: The form.
      step: The number of the step, from 0.
      num_steps: The steps of the whole run.
      epoch: The epoch of the step, from 0.
    """
    warmup = settings.num_warmup_steps
    if step < warmup:
        return (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, num_steps - 1 - warmup))
    final = settings.final_factor
    match settings.kind:
        case ScheduleKind.CONSTANT | ScheduleKind.PLATEAU:
            return 1.0
        case ScheduleKind.LINEAR:
            return 1.0 - progress * (1.0 - final)
        case ScheduleKind.COSINE:
            return final + (1.0 - final) * (1.0 + math.cos(math.pi * progress)) / 2.0
        case ScheduleKind.STEP:
            return float(settings.step_factor ** (epoch // settings.step_epochs))
