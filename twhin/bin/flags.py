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


def load_config() -> ResolvedConfig:
    """Returns the configuration that the flags name.

    Raises:
      ConfigError: It cannot be read or has faults.
    """
    overrides = list(OVERRIDE.value)
    if DATA_ROOT.value is not None:
        overrides.append(f"data.root={json.dumps(DATA_ROOT.value)}")
    return resolved_config.load_config(_config_path(), overrides)


def output_dir() -> Path:
    """Returns the absolute path of the run's folder, which may not exist yet."""
    if OUTPUT_DIR.value is not None:
        return Path(OUTPUT_DIR.value).absolute()
    path = _config_path() or resolved_config.DEMO_CONFIG
    return (Path("outputs") / path.stem).absolute()


def _config_path() -> Path | None:
    return None if CONFIG.value is None else Path(CONFIG.value)
