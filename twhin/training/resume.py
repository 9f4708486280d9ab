# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Whether a run's folder may be continued with a configuration."""

from collections.abc import Iterator
from pathlib import Path

from twhin.checkpoint.folders import list_checkpoints
from twhin.config import yaml_text
from twhin.config.resolved_config import ResolvedConfig, load_config
from twhin.errors import ConfigError

# What may change between two parts of a run: where data is, how long and on what
# it trains, what is measured, saved and exported.
_FREE = (
    "checkpoint",
    "data.root",
    "evaluation",
    "export",
    "runtime",
    "training.log_interval_steps",
    "training.max_steps",
    "training.num_epochs",
)
_MAX_SHOWN = 5


def check_same_run(
    checkpoints: Path,
    config_file: Path,
    config: ResolvedConfig,
    *,
    allowed: str = "the same, --restart to delete them, or another --output_dir",
) -> None:
    """Checks that the checkpoints of a folder are those of a configuration.

    A field that did not exist when they were made has its default.

    Args:
      checkpoints: The folder of checkpoints; it may not exist.
      config_file: The resolved configuration that they were made with.
      config: The configuration to go on with.
      allowed: What the caller offers where it is another one.

    Raises:
      ConfigError: A field differs on which the meaning of the state depends.
    """
    if not list_checkpoints(checkpoints) or not config_file.exists():
        return
    old = _leaves(load_config(config_file))
    new = _leaves(config)
    differences = [
        f"{path} was {old.get(path)!r} and is {new.get(path)!r}"
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path) and not _is_free(path)
    ]
    if differences:
        shown = ", ".join(differences[:_MAX_SHOWN])
        more = len(differences) - _MAX_SHOWN
        raise ConfigError(
            f"{checkpoints}: checkpoints of another configuration: {shown}"
            f"{f' and {more} more' if more > 0 else ''}; allowed: {allowed}"
        )


def write_config(path: Path, config: ResolvedConfig) -> None:
    """Writes the resolved configuration, aside first."""
    aside = path.with_name(f".{path.name}")
    aside.write_text(config.text, encoding="utf-8")
    aside.replace(path)


def _is_free(path: str) -> bool:
    return any(path == free or path.startswith(f"{free}.") for free in _FREE)


def _leaves(config: ResolvedConfig) -> dict[str, object]:
    return dict(_walk(yaml_text.parse(config.text, "configuration"), ""))


def _walk(tree: object, path: str) -> Iterator[tuple[str, object]]:
    """Yields the path and the value of every scalar."""
    if isinstance(tree, dict):
        for name, child in tree.items():
            yield from _walk(child, f"{path}.{name}" if path else str(name))
    elif isinstance(tree, list):
        for index, child in enumerate(tree):
            yield from _walk(child, f"{path}[{index}]")
    else:
        yield path, tree
