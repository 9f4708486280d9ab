# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The relations of a graph, once the data is known."""

from collections.abc import Sequence
from dataclasses import dataclass

from twhin.config.settings import Graph, Relation
from twhin.errors import DataError, did_you_mean
from twhin.graph.prepare import source_survey
from twhin.graph.prepare.engine import Engine
from twhin.graph.prepare.source_survey import SourceSurvey
from twhin.graph.prepare.sql import constant
from twhin.graph.schema import RelationSchema

WILDCARD = "*"
RELATIONS_VIEW = "relations"


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphRelations:
    """All relations in the order of their indices.

    Attributes:
      schema: Their names and entity types.
      undirected: Indices of the relations without direction.
      held_out: Indices of the relations whose edges are held out.
      pairs: The distinct pairs of a lhs and a rhs entity type.
    """

    schema: tuple[RelationSchema, ...]
    undirected: frozenset[int]
    held_out: frozenset[int]
    pairs: tuple[tuple[str, str], ...]

    def index(self, name: str) -> int:
        """Returns the index of the relation called `name`, which is there."""
        return [relation.name for relation in self.schema].index(name)

    def pair(self, index: int) -> int:
        """Returns the position in `pairs` of a relation's entity types."""
        relation = self.schema[index]
        return self.pairs.index((relation.lhs, relation.rhs))

    def rows(self) -> list[tuple[str | int | bool, ...]]:
        """Returns rows of `name, rel, pair, undirected, held_out` for an engine."""
        return [
            (
                relation.name,
                index,
                self.pair(index),
                index in self.undirected,
                index in self.held_out,
            )
            for index, relation in enumerate(self.schema)
        ]


def expand(
    graph: Graph,
    held_out: Sequence[str],
    surveys: Sequence[SourceSurvey],
    engine: Engine,
) -> GraphRelations:
    """Names every relation: those of the configuration, then the wildcard's, sorted.

    Args:
      graph: The configured relations.
      held_out: Names of the relations whose edges are held out; empty for all.
      surveys: What the sources hold.
      engine: Asked for the place of an unknown relation.

    Raises:
      DataError: A source has a relation that is not configured, and there is no
        wildcard; or a relation to hold out does not exist.
    """
    named = {r.name: r for r in graph.relations if r.name != WILDCARD}
    wildcard = next((r for r in graph.relations if r.name == WILDCARD), None)
    seen = sorted({name for survey in surveys for name in survey.relations})
    unknown = [name for name in seen if name not in named]
    if unknown and wildcard is None:
        raise _unknown_relation(engine, surveys, unknown[0], list(named))
    relations: list[tuple[str, Relation]] = list(named.items())
    if wildcard is not None:
        relations += [(name, wildcard) for name in unknown]
    names = [name for name, _ in relations]
    for name in held_out:
        if name not in names:
            raise DataError(
                f"data.raw.holdout.relations: no edge has the relation {name!r};"
                f" allowed: {', '.join(map(repr, names[:20]))}"
                f"{did_you_mean(name, names)}"
            )
    return GraphRelations(
        schema=tuple(
            RelationSchema(name=name, lhs=relation.lhs, rhs=relation.rhs)
            for name, relation in relations
        ),
        undirected=frozenset(
            index
            for index, (_, relation) in enumerate(relations)
            if relation.undirected
        ),
        held_out=frozenset(
            index
            for index, name in enumerate(names)
            if name in held_out or not held_out
        ),
        pairs=tuple(dict.fromkeys((r.lhs, r.rhs) for _, r in relations)),
    )


def _unknown_relation(
    engine: Engine, surveys: Sequence[SourceSurvey], name: str, known: list[str]
) -> DataError:
    survey = next(survey for survey in surveys if name in survey.relations)
    if survey.source.settings.relation is not None:
        place = f"{survey.source.where}.relation"
    else:
        error = source_survey.wrong_value(
            engine, survey.source, "rel", f"CAST(rel AS STRING) = {constant(name)}"
        )
        place = str(error).split(" is ")[0]
    return DataError(
        f"{place}: unknown relation {name!r}; allowed: {', '.join(map(repr, known))}"
        f"{did_you_mean(name, known)}"
    )
