# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Starts training from an earlier model, over another vocabulary."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from twhin.checkpoint.table_part import TablePart
from twhin.config.settings import NewRows, Relation, Table
from twhin.config.settings import WarmStart as WarmStartSettings
from twhin.errors import ConfigError
from twhin.graph.prepared_graph import PreparedGraph
from twhin.warm_start import kept_rows, new_rows
from twhin.warm_start.alignment import Alignment, measure_alignment
from twhin.warm_start.earlier_model import EarlierModel
from twhin.warm_start.join import count_entities, join_parts
from twhin.warm_start.prior import Prior, needs_prior
from twhin.warm_start.ranks import Ranks
from twhin.warm_start.relations import fill_relations

_LOG = logging.getLogger(__name__)


class WarmStart:
    """An earlier model beside the tables of now.

    Rows are read block by block: beside the tables, a rank takes 24 bytes for
    each of its rows while it fills them.

    Attributes:
      counts: By entity type, how many entities are kept, new and gone.
    """

    def __init__(
        self,
        source: EarlierModel,
        *,
        graph: PreparedGraph,
        tables: Mapping[str, Sequence[TablePart]],
        embedding_dim: int,
        ranks: Ranks,
    ) -> None:
        """Joins the entities by id; a collective.

        Args:
          source: The earlier model.
          graph: The graph of now.
          tables: This rank's rows by entity type; views.
          embedding_dim: D.
          ranks: All ranks.

        Raises:
          ConfigError: The earlier vectors have another dimension.
          DataError: The ids of the two cannot be compared.
        """
        if source.embedding_dim != embedding_dim:
            raise ConfigError(
                f"model.embedding_dim: {embedding_dim} differs from"
                f" {source.embedding_dim}, that of the model to start from; allowed:"
                " the same"
            )
        self._source = source
        self._graph = graph
        self._embedding_dim = embedding_dim
        self._ranks = ranks
        self._joined = join_parts(source, graph, tables)
        self.counts = count_entities(source, graph, self._joined, ranks)
        if ranks.is_first:
            for name, counts in self.counts.items():
                _LOG.info(
                    "event=joined entity_type=%s kept=%d new=%d gone=%d",
                    name,
                    counts.num_kept,
                    counts.num_new,
                    counts.num_gone,
                )

    def fill_rows(self, settings: WarmStartSettings) -> None:
        """Fills the rows of kept entities, and those of new ones by choice.

        New rows that find no start stay as they are: random.

        Args:
          settings: What new rows start from, and whether kept rows keep the state
            of their optimizer.

        Raises:
          ConfigError: The earlier model had other optimizers.
          DataError: The given vectors or the edges cannot be read.
          CheckpointError: The earlier model is damaged.
        """
        for joined in self._joined:
            if settings.optimizer_state:
                kept_rows.fill_kept_states(self._source, joined)
            kept_rows.fill_kept_rows(self._source, joined)
        num_filled = 0
        if settings.new_rows is NewRows.NEIGHBORS:
            num_filled = new_rows.fill_from_neighbors(
                self._source, self._joined, self._graph
            )
        elif settings.new_rows is NewRows.VECTORS:
            num_filled = sum(
                new_rows.fill_from_vectors(
                    joined, self._graph, settings.vectors, self._embedding_dim
                )
                for joined in self._joined
            )
        _LOG.info(
            "event=warm_start rank=%d new_rows=%s filled=%d",
            self._ranks.rank,
            settings.new_rows,
            num_filled,
        )

    def fill_relations(
        self,
        relations: Sequence[Relation],
        parameters: Mapping[str, Tensor],
        optimizer_state: Mapping[str, Any] | None = None,
    ) -> None:
        """Copies the parameters of relations that the earlier model has.

        Args:
          relations: The relations of now, in the order of the schema.
          parameters: `RelationModel.parameters_by_name`, detached; changed in place.
          optimizer_state: The `state_dict()` of their optimizer, where the earlier
            state is to be taken over; changed in place.
        """
        kept = fill_relations(self._source, relations, parameters, optimizer_state)
        if self._ranks.is_first:
            names = [r.name for r in relations if r.name not in kept]
            _LOG.info("event=joined relations_kept=%d new=%s", len(kept), names)

    def make_prior(self, tables: Mapping[str, Table]) -> Prior | None:
        """Returns what holds kept rows near their vectors; None where nothing does.

        Args:
          tables: The settings of the tables by entity type.
        """
        if not any(needs_prior(table) for table in tables.values()):
            return None
        return Prior(self._source, self._joined, tables)

    def measure_alignment(self) -> Alignment:
        """Compares kept rows as they are now with the earlier ones; a collective."""
        names = [t.name for t in self._graph.schema.entity_types]
        return measure_alignment(self._source, self._joined, names, self._ranks)
