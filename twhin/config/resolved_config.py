# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A run's configuration: loaded, overridden, resolved and validated."""

import dataclasses
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.descriptor import Descriptor

from twhin import errors
from twhin.config import load, yaml_text
from twhin.config.faults import Faults
from twhin.config.overrides import apply_override
from twhin.config.resolve import resolve
from twhin.config.settings import TrainConfig
from twhin.config.to_settings import to_settings
from twhin.config.validate import validate
from twhin.v1 import train_config_pb2

_ROOT_OVERRIDE = re.compile(r"data(\.root)?=")
DEMO_CONFIG = Path(__file__).parent.parent / "configs" / "demo.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedConfig:
    """A configuration that can be used.

    Attributes:
      settings: Every value, with defaults filled in.
      text: The same as YAML; loading it gives the same settings.
      digest: The SHA-256 of `text`, in hexadecimal.
    """

    settings: TrainConfig
    text: str
    digest: str


def load_config(
    path: Path | None = None, overrides: Sequence[str] = ()
) -> ResolvedConfig:
    """Reads a configuration file.

    A relative `data.root` starts from the folder of the file, and from the
    working directory where an override sets it.

    Args:
      path: A YAML file with the fields of `twhin.v1.TrainConfig`; None for the
        demonstration.
      overrides: "path.to.field=value" each, applied in order.

    Raises:
      ConfigError: The file cannot be read, or the configuration has faults; the
        message has a line for each of them.
    """
    path = DEMO_CONFIG if path is None else path
    config = _load_message(path, overrides)
    config_folder = path.absolute().parent
    moved = any(_ROOT_OVERRIDE.match(override) for override in overrides)
    resolve(
        config,
        config_folder=str(config_folder),
        root_folder=str(Path.cwd() if moved else config_folder),
    )
    settings = to_settings(config, TrainConfig)
    validate(settings)
    text = to_text(settings)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return ResolvedConfig(settings=settings, text=text, digest=digest)


def check_overrides(path: Path | None, overrides: Sequence[str]) -> None:
    """Checks that overrides name fields that exist and have values of their types.

    Whether the values suit each other is not looked at.

    Args:
      path: As for `load_config`.
      overrides: As for `load_config`.

    Raises:
      ConfigError: There are faults; the message has a line for each of them.
    """
    _load_message(DEMO_CONFIG if path is None else path, overrides)


def to_text(settings: TrainConfig) -> str:
    """Returns the YAML of resolved settings; fields that are None are left out."""
    return yaml_text.dump(_tree(settings))


def _load_message(path: Path, overrides: Sequence[str]) -> train_config_pb2.TrainConfig:
    """Returns the file with the overrides, no default filled in."""
    tree = yaml_text.parse(_read(path), str(path))
    config = train_config_pb2.TrainConfig()
    tree = _apply_overrides(tree, overrides, load.descriptor_of(config))
    faults = Faults()
    load.load_message(tree, config, "", faults)
    faults.raise_if_any()
    return config


def _apply_overrides(
    tree: object, overrides: Sequence[str], descriptor: Descriptor
) -> object:
    """Returns the tree with all overrides; a ConfigError names all the bad ones."""
    lines = []
    for override in overrides:
        try:
            tree = apply_override(tree, override, descriptor)
        except errors.ConfigError as err:
            lines.append(str(err))
    if lines:
        raise errors.ConfigError("\n".join(lines))
    return tree


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        reason = err.strerror if isinstance(err, OSError) else "not UTF-8"
        raise errors.ConfigError(
            f"{path}: cannot be read: {reason}; a YAML file is needed"
        ) from err


def _tree(value: object) -> object:
    """Returns a settings value as mappings, lists and plain scalars."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = (
            (field.name, getattr(value, field.name))
            for field in dataclasses.fields(value)
        )
        return {name: _tree(one) for name, one in pairs if one not in (None, ())}
    if isinstance(value, tuple):
        return [_tree(one) for one in value]
    return str(value) if isinstance(value, str) else value
