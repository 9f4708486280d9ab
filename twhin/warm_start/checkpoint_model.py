# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A checkpoint, with the vocabulary of its graph, as an earlier model."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from twhin.checkpoint.folders import find_checkpoint
from twhin.checkpoint.manifest import CONFIG_FILE
from twhin.checkpoint.reader import CheckpointReader
from twhin.config.resolved_config import load_config
from twhin.errors import CheckpointError, ConfigError, DataError
from twhin.graph import id_join
from twhin.graph.configured_schema import relation_settings
from twhin.graph.prepared_graph import PreparedGraph
from twhin.warm_start.earlier_model import RECIPROCAL, EarlierRelation

_PREPARED_FOLDER = "prepared"


class CheckpointModel:
    """An `EarlierModel` in a checkpoint.

    Attributes:
      relations: The relations by name.
      step: The number of updates so far.
    """

    def __init__(self, reader: CheckpointReader, graph: PreparedGraph) -> None:
        """Takes over an open checkpoint.

        Args:
          reader: The checkpoint.
          graph: The graph that it was trained on.

        Raises:
          CheckpointError: Its configuration cannot be read.
        """
        self._reader = reader
        self._graph = graph
        self.step = reader.step
        self.relations: Mapping[str, EarlierRelation] = _read_relations(reader)

    @staticmethod
    def open(path: Path) -> "CheckpointModel":
        """Opens the newest checkpoint of a run, or one checkpoint.

        Its vocabulary is where the training had it, or in the run's own folder
        `prepared`.

        Raises:
          CheckpointError: There is no checkpoint, it is damaged, or its vocabulary
            is not there any more.
        """
        folder = find_checkpoint(path)
        reader = CheckpointReader(folder)
        return CheckpointModel(reader, _open_graph(folder, reader))

    @property
    def embedding_dim(self) -> int:
        """D."""
        return self._reader.embedding_dim

    def num_rows(self, entity_type: str) -> int:
        """Returns the number of rows of a table; 0 where there is none."""
        sizes = {t.name: t.num_entities for t in self._reader.schema.entity_types}
        return sizes.get(entity_type, 0)

    def join(
        self, graph: PreparedGraph, entity_type: str, rows: range
    ) -> NDArray[np.int64]:
        """Joins the vocabularies of both graphs; see `id_join.join_rows`."""
        return id_join.join_rows(self._graph, graph, entity_type, rows)

    def read_rows(self, entity_type: str, start: int, stop: int) -> Tensor:
        """Returns rows of a table."""
        return self._reader.read_rows(entity_type, start, stop)

    def state_names(self, entity_type: str) -> tuple[str, ...]:
        """Returns the names of the states of a table's optimizer."""
        return self._reader.state_names(entity_type)

    def read_state(self, entity_type: str, name: str, start: int, stop: int) -> Tensor:
        """Returns a state of rows."""
        return self._reader.read_state(entity_type, name, start, stop)


def _open_graph(folder: Path, reader: CheckpointReader) -> PreparedGraph:
    """Returns the graph that a checkpoint was trained on."""
    if reader.graph_digest is None:
        raise CheckpointError(
            f"{folder}: was trained on encoded edges, which have no vocabulary to join"
            " by; allowed: a checkpoint of a prepared graph"
        )
    # OUTPUT_DIR/checkpoints/step-00001000
    places = [folder.resolve().parent.parent / _PREPARED_FOLDER]
    if reader.prepared is not None:
        places.insert(0, Path(reader.prepared))
    faults = []
    for place in dict.fromkeys(places):
        try:
            graph = PreparedGraph.open(str(place))
        except DataError as error:
            faults.append(str(error))
            continue
        assert graph.manifest is not None
        if graph.manifest.digest == reader.graph_digest:
            return graph
        faults.append(f"{place}: has been prepared anew since")
    raise CheckpointError(
        f"{folder}: its vocabulary is missing ({'; '.join(faults)}); allowed: the"
        " prepared graph that it was trained on, or warm_start.bundle, as a bundle"
        " holds its ids"
    )


def _read_relations(reader: CheckpointReader) -> dict[str, EarlierRelation]:
    config = reader.folder / CONFIG_FILE
    try:
        graph = load_config(config).settings.graph
    except ConfigError as error:
        raise CheckpointError(
            f"{config}: cannot be read ({error}); allowed: a configuration of this"
            " version"
        ) from error
    relations = relation_settings(graph, reader.schema)
    operators = [str(relation.operator) for relation in relations]
    parameters = reader.relation_parameters()
    states = _read_states(reader, parameters, operators)
    found = {}
    for index, relation in enumerate(relations):
        operator = operators[index]
        reciprocal = operator + RECIPROCAL
        place = operators[:index].count(operator)
        found[relation.name] = EarlierRelation(
            operator=operator,
            parameters=parameters[operator][place],
            reciprocal=parameters[reciprocal][place]
            if reciprocal in parameters
            else None,
            state={k: s[place] for k, s in states[operator].items()},
            reciprocal_state={k: s[place] for k, s in states[reciprocal].items()},
        )
    return found


def _read_states(
    reader: CheckpointReader, parameters: Mapping[str, Tensor], operators: Sequence[str]
) -> Mapping[str, Mapping[str, Tensor]]:
    """Returns by parameters' name the states of their form, [R, P]."""
    # The optimizer numbers the parameters in the order of the model's.
    names = [
        name
        for operator in dict.fromkeys(operators)
        for name in (operator, operator + RECIPROCAL)
        if name in parameters and parameters[name].numel()
    ]
    stored = reader.relation_optimizer().get("state", {})
    states: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for number, name in enumerate(names):
        for kind, values in stored.get(number, {}).items():
            if getattr(values, "shape", None) == parameters[name].shape:
                states[name][kind] = values
    return states
