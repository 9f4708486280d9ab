# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A small configuration that tests change by overrides."""

from pathlib import Path

from twhin.config.resolved_config import ResolvedConfig, load_config
from twhin.errors import ConfigError

TEXT = """\
graph:
  entity_types: [{name: user}, {name: tweet}]
  relations:
    - {name: follows, lhs: user, rhs: user}
    - {name: likes, lhs: user, rhs: tweet}
data: {prepared: graph}
"""


class ConfigCase:
    """A folder with the configuration file."""

    def __init__(self, folder: Path, text: str = TEXT) -> None:
        """Writes the file."""
        self.folder = folder
        self.path = folder / "config.yaml"
        self.path.write_text(text)

    def load(self, *overrides: str) -> ResolvedConfig:
        """Loads the file with overrides."""
        return load_config(self.path, overrides)

    def faults(self, *overrides: str) -> list[str]:
        """Returns the lines of the error; none where the configuration is good."""
        try:
            self.load(*overrides)
        except ConfigError as error:
            return str(error).split("\n")
        return []
