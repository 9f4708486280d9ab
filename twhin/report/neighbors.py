# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The nearest neighbours of the entities with the most training edges."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from twhin.evaluation.comparison import Comparison
from twhin.evaluation.edges import Integers
from twhin.report.entity_sample import EntityNames, EntitySample, Floats
from twhin.report.run_files import RunFiles
from twhin.side import Side

_NUM_ENTITIES = 3
_NUM_NEIGHBORS = 5
_MAX_TYPES = 6
_MAX_RELATIONS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighborList:
    """The nearest neighbours of an entity in one sense.

    Attributes:
      sense: "most alike", or a relation with an arrow to the neighbours' type.
      names: Their ids, the nearest first.
    """

    sense: str
    names: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WellKnownEntity:
    """An entity with its neighbours.

    Attributes:
      entity_type: Its type.
      name: Its id.
      degree: The number of its training edges.
      lists: Its neighbours.
    """

    entity_type: str
    name: str
    degree: int
    lists: tuple[NeighborList, ...]


def find_neighbors(
    run: RunFiles, samples: Mapping[str, EntitySample], names: EntityNames
) -> list[WellKnownEntity]:
    """Returns a few entities of each type, those with the most edges first.

    Neighbours are looked for among the samples.

    Args:
      run: The run.
      samples: By entity type.
      names: The ids.

    Raises:
      DataError: A vocabulary is damaged.
    """
    found = []
    for sample in list(samples.values())[:_MAX_TYPES]:
        degrees = sample.degrees[sample.rows]
        places = np.argsort(-degrees, kind="stable")[:_NUM_ENTITIES]
        lists = [
            _most_alike(sample, places, names),
            *_by_relations(run, samples, sample, places, names),
        ]
        for number, name in enumerate(names(sample.entity_type, sample.rows[places])):
            found.append(
                WellKnownEntity(
                    entity_type=sample.entity_type,
                    name=name,
                    degree=int(degrees[places[number]]),
                    lists=tuple(each[number] for each in lists),
                )
            )
    return found


def _most_alike(
    sample: EntitySample, places: Integers, names: EntityNames
) -> list[NeighborList]:
    """Returns those of the same type with the largest cosine, for each place."""
    unit = sample.unit_vectors
    scores = unit[places] @ unit.T
    scores[np.arange(len(places)), places] = -np.inf
    return _name_best("most alike", sample, scores, names)


def _by_relations(
    run: RunFiles,
    samples: Mapping[str, EntitySample],
    sample: EntitySample,
    places: Integers,
    names: EntityNames,
) -> Iterator[list[NeighborList]]:
    """Yields those that score highest under each relation, for each place.

    On the side that the relation has them; both sides of a relation that joins a
    type with itself would say much the same, and the rhs is taken.
    """
    comparison = Comparison(run.config.settings.model.comparator)
    model = run.load_model()
    known = torch.from_numpy(sample.vectors[places])
    joined = [
        (rel, relation, side, other)
        for rel, relation in enumerate(run.graph.schema.relations)
        for own, other, side in (
            (relation.lhs, relation.rhs, Side.RHS),
            (relation.rhs, relation.lhs, Side.LHS),
        )
        if own == sample.entity_type
        and other in samples
        and (side is Side.RHS or own != other)
    ]
    for rel, relation, side, other in joined[:_MAX_RELATIONS]:
        candidates = samples[other]
        with torch.no_grad():
            query = model.query(side, known, torch.full((len(places),), rel))
            scores = comparison.scores(
                comparison.prepare_queries(query.vectors),
                comparison.prepare_candidates(torch.from_numpy(candidates.vectors)),
            ).numpy()
        if other == sample.entity_type:
            scores[np.arange(len(places)), places] = -np.inf
        arrow = "\u2192" if side is Side.RHS else "\u2190"
        yield _name_best(f"{relation.name} {arrow} {other}", candidates, scores, names)


def _name_best(
    sense: str, candidates: EntitySample, scores: Floats, names: EntityNames
) -> list[NeighborList]:
    """Returns the best candidates for each row of [m, n] scores."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :_NUM_NEIGHBORS]
    return [
        NeighborList(
            sense=sense,
            names=names(
                candidates.entity_type, candidates.rows[row[np.isfinite(line[row])]]
            ),
        )
        for row, line in zip(best, scores, strict=True)
    ]
