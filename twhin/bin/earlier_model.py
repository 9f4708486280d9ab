# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The earlier model that a configuration's warm start names."""

from pathlib import Path

from twhin.bundle.bundle import Bundle
from twhin.config import paths
from twhin.config.settings import NewRows, TrainConfig
from twhin.warm_start.bundle_model import BundleModel
from twhin.warm_start.checkpoint_model import CheckpointModel
from twhin.warm_start.earlier_model import EarlierModel, NoModel


def open_earlier_model(settings: TrainConfig) -> EarlierModel | None:
    """Returns what training starts from; None where it starts at random.

    Raises:
      CheckpointError: The checkpoint is missing or damaged.
      BundleError: The bundle is missing or damaged.
    """
    warm_start, root = settings.warm_start, settings.data.root
    if warm_start.checkpoint is not None:
        return CheckpointModel.open(Path(paths.join(root, warm_start.checkpoint)))
    if warm_start.bundle is not None:
        return BundleModel(Bundle.open(Path(paths.join(root, warm_start.bundle))))
    if warm_start.new_rows is NewRows.VECTORS:
        return NoModel(settings.model.embedding_dim)
    return None
