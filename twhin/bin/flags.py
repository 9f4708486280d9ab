# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The flags that name a run: its configuration and its folder."""

import json
from pathlib import Path

from absl import flags

from twhin.config import resolved_config
from twhin.config.resolved_config import ResolvedConfig

CONFIG = flags.DEFINE_string(
    "config",
    None,
    "The configuration file (YAML); without it the generated demonstration graph."
    " The fields: docs/configuration.md.",
)
OVERRIDE = flags.DEFINE_multi_string(
    "override",
    [],
    "Sets one value of the configuration: path.to.field=value, for example"
    " training.num_epochs=3 or graph.relations[0].operator=diagonal. Repeatable.",
)
DATA_ROOT = flags.DEFINE_string(
    "data_root",
    None,
    "The folder or URL that relative paths of the configuration start from; short"
    " for --override=data.root=DIR.",
)
OUTPUT_DIR = flags.DEFINE_string(
    "output_dir",
    None,
    "The folder of everything that the run writes; without it outputs/NAME, NAME"
    " being the configuration file's without its ending.",
)
PRINT_CONFIG = flags.DEFINE_boolean(
    "print_config",
    False,
    "Prints the configuration with every default filled in, and does nothing else.",
)


def config_path() -> Path | None:
    """Returns the configuration file; None for the demonstration."""
    return None if CONFIG.value is None else Path(CONFIG.value)


def overrides(*more: str) -> list[str]:
    """Returns the overrides that the flags give.

    Args:
      *more: Applied after those that are given in full.
    """
    given = [*OVERRIDE.value, *more]
    if DATA_ROOT.value is not None:
        given.append(f"data.root={json.dumps(DATA_ROOT.value)}")
    return given


def load_config(*more_overrides: str) -> ResolvedConfig:
    """Returns the configuration that the flags name.

    Args:
      *more_overrides: Applied after those of the flags.

    Raises:
      ConfigError: It cannot be read or has faults.
    """
    return resolved_config.load_config(config_path(), overrides(*more_overrides))


def config_flags() -> list[str]:
    """Returns the flags that name the same configuration to another command."""
    given = [f"--override={override}" for override in OVERRIDE.value]
    if CONFIG.value is not None:
        given.append(f"--config={CONFIG.value}")
    if DATA_ROOT.value is not None:
        given.append(f"--data_root={DATA_ROOT.value}")
    return given


def output_dir() -> Path:
    """Returns the absolute path of the run's folder, which may not exist yet."""
    if OUTPUT_DIR.value is not None:
        return Path(OUTPUT_DIR.value).absolute()
    path = config_path() or resolved_config.DEMO_CONFIG
    return (Path("outputs") / path.stem).absolute()
