# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Turns all vectors towards those of the version that is in use.

Scores stay. Who uses the vectors as features finds them where they were, as
nearly as one rotation of the whole space brings them there.
"""

import dataclasses
import logging
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from twhin.bundle import versions
from twhin.bundle.bundle import Bundle
from twhin.bundle.id_directory import IdDirectory
from twhin.bundle.id_hash import Int64Array
from twhin.errors import BundleError
from twhin.export import id_step
from twhin.export.export_plan import ExportPlan
from twhin.export.rotated_reader import RotatedReader
from twhin.warm_start.alignment import best_rotation, rotation_degrees

_LOG = logging.getLogger(__name__)
_BLOCK_ROWS = 1 << 15


def open_previous(root: Path, dim: int) -> Bundle | None:
    """Returns the version in use; None before the first one.

    Args:
      root: The root of the versions.
      dim: The dimension of the vectors to align.

    Raises:
      BundleError: The version is damaged, or has another dimension.
    """
    if not versions.list_versions(root):
        return None
    previous = Bundle.open(root)
    if previous.dim != dim:
        raise BundleError(
            f"export.align_to_previous: {previous.folder} has vectors of"
            f" {previous.dim} numbers, now they have {dim}; allowed: the same, or false"
        )
    return previous


def compare_tables(plan: ExportPlan, previous: Bundle) -> None:
    """Compares this rank's tables, whose ids are written, with the version before."""
    for entity_type in plan.mine(plan.entity_types):
        sums = torch.zeros(plan.dim * plan.dim + 2, dtype=torch.float64)
        if entity_type in previous.tables:
            _add_table(plan, previous, entity_type, sums)
        plan.work.put_numbers(_name(entity_type), sums.numpy())


def align(plan: ExportPlan, previous: Bundle) -> tuple[ExportPlan, dict[str, float]]:
    """Returns an export of turned vectors; all ranks have compared their tables.

    Returns:
      The export, and for the manifest how like the vectors are to those before:
      `export/similarity`, the sum of inner products over the product of the norms
      of all kept rows, as they were trained; `export/similarity_aligned`, turned;
      `export/rotation_degrees`, the root mean square of the angles.
    """
    sums = torch.zeros(plan.dim * plan.dim + 2, dtype=torch.float64)
    for entity_type in plan.entity_types:
        sums += torch.from_numpy(plan.work.get_numbers(_name(entity_type)))
    products, squares = sums[:-2].view(plan.dim, plan.dim), sums[-2:]
    norm = float(squares.prod().sqrt())
    if not norm:
        _LOG.warning("event=not_aligned previous=%s kept=0", previous.version)
        return plan, {}
    rotation = best_rotation(products)
    metrics = {
        "export/similarity": float(products.trace()) / norm,
        "export/similarity_aligned": float((rotation * products).sum()) / norm,
        "export/rotation_degrees": rotation_degrees(rotation),
    }
    _LOG.info(
        "event=aligned previous=%s similarity=%.4f aligned=%.4f degrees=%.1f",
        previous.version,
        *metrics.values(),
    )
    reader = RotatedReader(plan.reader, rotation)
    return dataclasses.replace(plan, reader=reader), metrics


def _add_table(
    plan: ExportPlan, previous: Bundle, entity_type: str, sums: Tensor
) -> None:
    """Adds now.T @ before, and the squares of both, over kept rows."""
    earlier = _join(plan, previous, entity_type)
    for start in range(0, len(earlier), _BLOCK_ROWS):
        rows = earlier[start : start + _BLOCK_ROWS]
        is_kept = rows >= 0
        if not is_kept.any():
            continue
        block = plan.reader.read_rows(entity_type, start, start + len(rows))
        # Single precision within a block, double over blocks.
        now = block[torch.from_numpy(is_kept)].float()
        before = torch.from_numpy(previous.vectors(entity_type, rows[is_kept]))
        sums[:-2] += (now.T @ before).double().flatten()
        sums[-2] += now.square().sum().double()
        sums[-1] += before.square().sum().double()


def _join(plan: ExportPlan, previous: Bundle, entity_type: str) -> Int64Array:
    """Returns for each trained row the row of its entity before, -1 where new.

    Raises:
      BundleError: The ids were strings and are integers, or the other way round.
    """
    table = id_step.read_table(plan, entity_type)
    directory = IdDirectory(plan.folder, table.ids, table.num_rows)
    if directory.is_string != previous.directories[entity_type].is_string:
        raise BundleError(
            f"export.align_to_previous: {previous.folder} has other ids of"
            f" {entity_type!r}: integers in one, text in the other; allowed: ids of"
            " one type, or false"
        )
    order = id_step.read_order(plan, entity_type)
    earlier = np.full(plan.reader.schema.num_entities(entity_type), -1, np.int64)
    for start in range(0, table.num_rows, _BLOCK_ROWS):
        rows = np.arange(start, min(start + _BLOCK_ROWS, table.num_rows))
        earlier[order[rows]] = previous.find(entity_type, directory.ids(rows))
    return earlier


def _name(entity_type: str) -> str:
    return f"compared-{entity_type}"
