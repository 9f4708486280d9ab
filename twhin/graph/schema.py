# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The schema of a prepared graph: every relation named, every size known."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityTypeSchema:
    """One entity type: its name and the number of rows of its table."""

    name: str
    num_entities: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationSchema:
    """One relation: its name and the names of its two entity types."""

    name: str
    lhs: str
    rhs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSchema:
    """Entity types and relations in the order of their indices."""

    entity_types: tuple[EntityTypeSchema, ...]
    relations: tuple[RelationSchema, ...]

    def entity_type_index(self, name: str) -> int:
        """Returns the position of the entity type called `name`.

        Raises:
          KeyError: No entity type has that name.
        """
        for index, entity_type in enumerate(self.entity_types):
            if entity_type.name == name:
                return index
        raise KeyError(name)

    def num_entities(self, name: str) -> int:
        """Returns the number of rows of the entity type called `name`."""
        return self.entity_types[self.entity_type_index(name)].num_entities
