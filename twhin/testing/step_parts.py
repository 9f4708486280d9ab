# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What builds and takes steps, made from a configuration alone."""

import numpy as np

from twhin.config.settings import TrainConfig
from twhin.graph.schema import EntityTypeSchema, GraphSchema, RelationSchema
from twhin.model import compiled_parts
from twhin.model.relation_model import RelationModel
from twhin.training.entity_tables import EntityTables
from twhin.training.job import Job
from twhin.training.relation_optimizer import RelationOptimizer
from twhin.training.step_batch_builder import StepBatchBuilder
from twhin.training.training_step import TrainingStep


class StepParts:
    """The parts of a job that a step runs through.

    Attributes:
      schema: Entity types and relations.
      tables: The embeddings.
      model: The relations.
      builder: Makes batches.
      step: Takes steps.
    """

    def __init__(self, settings: TrainConfig, *, num_entities: int, job: Job) -> None:
        """Makes everything, with seed 0.

        Args:
          settings: The configuration; its relations have no wildcards.
          num_entities: Of each type; entity i is made to have the degree i + 1.
          job: A job of one rank.
        """
        types, relations = settings.graph.entity_types, settings.graph.relations
        self.schema = GraphSchema(
            entity_types=tuple(
                EntityTypeSchema(name=each.name, num_entities=num_entities)
                for each in types
            ),
            relations=tuple(
                RelationSchema(name=each.name, lhs=each.lhs, rhs=each.rhs)
                for each in relations
            ),
        )
        self.tables = EntityTables(
            schema=self.schema,
            tables={each.name: each.table for each in types},
            embedding_dim=settings.model.embedding_dim,
            optimizer=settings.optimizer,
            device=job.device,
        )
        self.tables.initialize(init_scale=settings.model.init_scale, seed=0)
        self.model = RelationModel(
            operators=[relation.operator for relation in relations],
            embedding_dim=settings.model.embedding_dim,
            comparator=settings.model.comparator,
            reciprocal=settings.model.reciprocal,
        )
        self.step = TrainingStep(
            settings=settings,
            tables=self.tables,
            model=self.model,
            relation_optimizer=RelationOptimizer(
                self.model, settings.relation_optimizer, max_gradient_norm=0.0, job=job
            ),
            job=job,
        )
        degrees = np.arange(1, num_entities + 1, dtype=np.int64)
        self.builder = StepBatchBuilder(
            schema=self.schema,
            settings=settings.negatives,
            loss_weights=[relation.loss_weight for relation in relations],
            batch_size=settings.training.batch_size,
            seed=0,
            degrees={each.name: degrees for each in types},
            for_compiled_loops=compiled_parts.serves(
                settings.model.comparator, settings.loss, job.device
            ),
        )
