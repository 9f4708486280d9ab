# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What looks like a mistake in a configuration, although it can be prepared."""

from collections.abc import Sequence

from twhin.graph.prepare.relations import GraphRelations
from twhin.graph.prepare.source_columns import mapped_columns
from twhin.graph.prepare.source_survey import SourceSurvey
from twhin.graph.schema import RelationSchema


def find_warnings(
    surveys: Sequence[SourceSurvey], relations: GraphRelations
) -> tuple[str, ...]:
    """Returns one line for each strange thing: swapped columns, idle relations."""
    found: dict[str, None] = {}
    for survey in surveys:
        columns = mapped_columns(survey.source.settings)
        for name in survey.relations:
            relation = relations.schema[relations.index(name)]
            if _looks_swapped(columns["lhs"], columns["rhs"], relation):
                found[
                    f"{survey.source.where}: lhs is column {columns['lhs']!r} and rhs"
                    f" is column {columns['rhs']!r}, but lhs is the entity type"
                    f" {relation.lhs!r} and rhs is {relation.rhs!r}; are the columns"
                    " swapped?"
                ] = None
    trained = {
        name
        for survey in surveys
        if survey.source.split == "train"
        for name in survey.relations
    }
    for relation in relations.schema:
        if relation.name not in trained:
            found[f"relation {relation.name!r} has no training edge"] = None
    return tuple(found)


def _looks_swapped(lhs: str, rhs: str, relation: RelationSchema) -> bool:
    """Returns whether each column is named after the other side's entity type."""
    lhs, rhs = lhs.lower(), rhs.lower()
    return (
        relation.rhs in lhs
        and relation.lhs in rhs
        and relation.lhs not in lhs
        and relation.rhs not in rhs
    )
