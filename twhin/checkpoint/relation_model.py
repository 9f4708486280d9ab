# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The relations of a checkpoint, as the model that they were trained in."""

from twhin.checkpoint.reader import CheckpointReader
from twhin.config.settings import TrainConfig
from twhin.graph.configured_schema import relation_settings
from twhin.model.relation_model import RelationModel


def load_relation_model(
    reader: CheckpointReader, settings: TrainConfig
) -> RelationModel:
    """Returns the trained relations, on the CPU.

    Args:
      reader: Of the checkpoint.
      settings: The configuration that it was trained with.
    """
    relations = relation_settings(settings.graph, reader.schema)
    model = RelationModel(
        operators=[relation.operator for relation in relations],
        embedding_dim=reader.embedding_dim,
        comparator=settings.model.comparator,
        reciprocal=settings.model.reciprocal,
    )
    for name, values in reader.relation_parameters().items():
        model.parameters_by_name[name].data.copy_(values)
    return model
