# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The type of the ids of each entity type: int64 or string, the same everywhere.

Parquet files say it. Ids in text files follow them; where there are only text
files, ids are int64 if every one is an integer as it would be printed ("7", not
"07"), otherwise strings.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from twhin.errors import DataError
from twhin.graph.prepare import source_survey
from twhin.graph.prepare.engine import Engine
from twhin.graph.prepare.relations import GraphRelations
from twhin.graph.prepare.source_columns import ColumnKind, mapped_columns
from twhin.graph.prepare.source_survey import SourceSurvey

INT64 = "int64"
STRING = "string"

_SQL_TYPES = {INT64: "BIGINT", STRING: "STRING"}
_ID_TYPES = {ColumnKind.INTEGER: INT64, ColumnKind.STRING: STRING}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evidence:
    """A column that holds ids of an entity type; `num_text` of them no integers."""

    survey: SourceSurvey
    field: str
    kind: ColumnKind
    num_text: int

    def __str__(self) -> str:
        source = self.survey.source
        column = mapped_columns(source.settings)[self.field]
        return f"column {column!r} of {source.files[0]!r}"


def sql_type(id_type: str) -> str:
    """Returns the SQL type of an id type."""
    return _SQL_TYPES[id_type]


def choose_id_types(
    engine: Engine,
    surveys: Sequence[SourceSurvey],
    relations: GraphRelations,
    base: Mapping[str, str],
) -> dict[str, str]:
    """Returns "int64" or "string" for each entity type that the sources touch.

    Args:
      engine: Asked for the place of a wrong id.
      surveys: What the sources hold.
      relations: The relations of the graph.
      base: The id types of the base vocabulary.

    Raises:
      DataError: Two columns with ids of one entity type differ in type.
    """
    evidence: dict[str, list[_Evidence]] = {}
    for entity_type, piece in _collect(surveys, relations):
        evidence.setdefault(entity_type, []).append(piece)
    return {
        entity_type: _choose(engine, entity_type, pieces, base.get(entity_type))
        for entity_type, pieces in evidence.items()
    }


def _collect(
    surveys: Sequence[SourceSurvey], relations: GraphRelations
) -> Iterator[tuple[str, _Evidence]]:
    for survey in surveys:
        for name, counts in survey.relations.items():
            relation = relations.schema[relations.index(name)]
            for field, entity_type, num_text in (
                ("lhs", relation.lhs, counts.num_text_lhs),
                ("rhs", relation.rhs, counts.num_text_rhs),
            ):
                yield (
                    entity_type,
                    _Evidence(
                        survey=survey,
                        field=field,
                        kind=survey.columns.kinds[field],
                        num_text=num_text,
                    ),
                )


def _choose(
    engine: Engine, entity_type: str, pieces: list[_Evidence], base: str | None
) -> str:
    chosen, reason = base, "the base vocabulary"
    for piece in pieces:
        if piece.kind is ColumnKind.TEXT:
            continue
        id_type = _ID_TYPES[piece.kind]
        if chosen is None:
            chosen, reason = id_type, str(piece)
        elif chosen != id_type:
            raise DataError(
                f"{piece.survey.source.where}: {piece} has {id_type} ids of entity type"
                f" {entity_type!r}; allowed: {chosen}, as in {reason}"
            )
    text = [piece for piece in pieces if piece.num_text]
    if chosen is None:
        return STRING if text else INT64
    if chosen == INT64 and text:
        raise source_survey.wrong_value(
            engine,
            text[0].survey.source,
            text[0].field,
            source_survey.is_text_id(text[0].field),
        )
    return chosen
