# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Writes the parameters of all relations into one file."""

from collections.abc import Sequence
from pathlib import Path

from twhin.bundle import kinds
from twhin.bundle.file_writer import FileWriter
from twhin.bundle.relation import BundleRelation
from twhin.v1 import bundle_pb2, graph_pb2

_PATH = "relations/parameters.bin"


def write_relations(
    folder: Path,
    relations: Sequence[BundleRelation],
    manifest: bundle_pb2.BundleManifest,
) -> None:
    """Writes parameters below relations/ and adds the relations to the manifest.

    Args:
      folder: The folder of the bundle version.
      relations: In the order of the relation indices.
      manifest: Its `relations` and `relation_parameters` are filled.
    """
    num_written = 0
    with FileWriter(folder, _PATH) as writer:
        for relation in relations:
            entry = manifest.relations.add(
                name=relation.name,
                lhs=relation.lhs,
                rhs=relation.rhs,
                operator=kinds.to_proto(relation.operator, graph_pb2.Operator),
                parameters_start=num_written,
                num_parameters=len(relation.parameters),
            )
            writer.write(relation.parameters.astype("<f4"))
            num_written += len(relation.parameters)
            if relation.reciprocal_parameters is not None:
                entry.reciprocal_parameters_start = num_written
                writer.write(relation.reciprocal_parameters.astype("<f4"))
                num_written += len(relation.reciprocal_parameters)
    if num_written:
        manifest.relation_parameters.CopyFrom(writer.entry)
    else:
        (folder / _PATH).unlink()
