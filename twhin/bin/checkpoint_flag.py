# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The flag of commands that work on a checkpoint of a run."""

from absl import flags

CHECKPOINT = flags.DEFINE_string(
    "checkpoint",
    None,
    "'newest', 'best' or the folder of a checkpoint; without it the best one where"
    " the configuration has evaluation.best_metric, otherwise the newest.",
)
