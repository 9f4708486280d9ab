# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Prepares random small graphs, and compares with the rules written in Python."""

import hashlib
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from twhin.testing.prepare_case import Edge, PrepareCase

VALID, TEST = 0.2, 0.3
SIDES = {"knows": ("user", "user"), "likes": ("user", "tweet")}


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The options that shape a graph."""

    drops_duplicates: bool
    keeps_unseen: bool
    undirected: bool
    min_degree: int
    max_entities: int | None
    shares_row: bool

    def config(self) -> str:
        """Returns them as a configuration; those of entities are for users."""
        cuts = f"min_degree: {self.min_degree}"
        if self.max_entities is not None:
            cuts += f", max_entities: {self.max_entities}"
        if self.shares_row:
            cuts += ", rare_entities: shared_row"
        undirected = str(self.undirected).lower()
        return f"""
            graph:
              entity_types: [{{name: user, {cuts}}}, {{name: tweet}}]
              relations:
                - {{name: knows, lhs: user, rhs: user, undirected: {undirected}}}
                - {{name: likes, lhs: user, rhs: tweet}}
            data:
              raw:
                train: {{paths: train.parquet}}
                holdout: {{valid_fraction: {VALID}, test_fraction: {TEST}}}
                duplicates: {"drop" if self.drops_duplicates else "keep"}
                unseen_entities: {"keep" if self.keeps_unseen else "drop"}
            """


RULES = st.builds(
    Rules,
    drops_duplicates=st.booleans(),
    keeps_unseen=st.booleans(),
    undirected=st.booleans(),
    min_degree=st.integers(1, 3),
    max_entities=st.none() | st.integers(2, 6),
    shares_row=st.booleans(),
)
USERS = st.sampled_from("abcdeABC\u00e9")
EDGES = st.lists(
    st.tuples(USERS, st.just("knows"), USERS)
    | st.tuples(USERS, st.just("likes"), st.sampled_from("stuvw")),
    min_size=5,
    max_size=60,
)


def split_of(edge: Edge) -> str:
    text = "\x1f".join((edge[1], edge[0], edge[2]))
    u = int(hashlib.md5(text.encode()).hexdigest()[:16], 16) / 2**64
    return "valid" if u < VALID else "test" if u < VALID + TEST else "train"


# Training edges of every type, whatever the rules: without any, preparing fails.
BASE = [
    edge
    for rel in SIDES
    for edge in [("a", rel, f"z{i}") for i in range(20)]
    if split_of(edge) == "train"
]


class Oracle:
    """What a graph should be, by ids."""

    def __init__(self, edges: list[Edge], rules: Rules) -> None:
        """Applies the rules one after the other."""
        edges = [self._ordered(edge, rules) for edge in edges]
        if rules.drops_duplicates:
            edges = sorted(set(edges))
        self.splits: dict[str, list[Edge]] = {"train": [], "valid": [], "test": []}
        for edge in edges:
            self.splits[split_of(edge)].append(edge)
        self.degrees = {
            name: self._count(name, self.splits["train"]) for name in ("user", "tweet")
        }
        self.ids: dict[str, list[str]] = {}
        self.trained: dict[str, set[str]] = {}
        for name, degrees in self.degrees.items():
            self._choose_ids(name, degrees, rules)
        self._rules = rules

    def _ordered(self, edge: Edge, rules: Rules) -> Edge:
        lhs, rel, rhs = edge
        if rel == "knows" and rules.undirected and lhs.encode() > rhs.encode():
            return rhs, rel, lhs
        return edge

    def _count(self, name: str, edges: list[Edge]) -> "Counter[str]":
        return Counter(
            entity
            for lhs, rel, rhs in edges
            for entity, kind in zip((lhs, rhs), SIDES[rel], strict=True)
            if kind == name
        )

    def _choose_ids(self, name: str, degrees: "Counter[str]", rules: Rules) -> None:
        cuts = name == "user"
        chosen = [
            entity
            for entity in sorted(degrees, key=lambda e: (-degrees[e], e.encode()))
            if not cuts or degrees[entity] >= rules.min_degree
        ]
        if cuts and rules.max_entities is not None:
            chosen = chosen[: rules.max_entities]
        self.trained[name] = set(chosen)
        if rules.keeps_unseen:
            held_out = self._count(name, self.splits["valid"] + self.splits["test"])
            unseen = {
                entity
                for entity in set(held_out) - set(chosen)
                if not (cuts and rules.shares_row and degrees[entity])
            }
            chosen += sorted(unseen, key=str.encode)
        self.ids[name] = chosen

    def _entity(self, name: str, entity: str, split: str) -> str | None:
        """Returns the id, or None for the shared row; KeyError where there is none."""
        known = self.trained[name] if split == "train" else set(self.ids[name])
        if entity in known:
            return entity
        is_rare = self.degrees[name][entity] > 0 and entity not in self.trained[name]
        if name == "user" and self._rules.shares_row and is_rare:
            return None
        raise KeyError(entity)

    def edges(self, split: str) -> list[Edge]:
        """Returns the encoded edges with their ids again."""
        found: list[Edge] = []
        for lhs, rel, rhs in self.splits[split]:
            try:
                ends = [
                    self._entity(name, entity, split)
                    for name, entity in zip(SIDES[rel], (lhs, rhs), strict=True)
                ]
            except KeyError:
                continue
            found.append((ends[0], rel, ends[1]))
            both_ways = split == "train" and rel == "knows" and self._rules.undirected
            if both_ways and ends[0] != ends[1]:
                found.append((ends[1], rel, ends[0]))
        return sorted(found, key=repr)


@settings(max_examples=20, deadline=None)
@given(drawn=EDGES, rules=RULES)
def test_graph_is_what_the_rules_say(drawn: list[Edge], rules: Rules) -> None:
    edges = [*BASE, *drawn]
    expected = Oracle(edges, rules)
    with tempfile.TemporaryDirectory() as folder:
        case = PrepareCase(Path(folder))
        case.write_edges("train.parquet", edges)

        case.prepare(rules.config())

        for name in ("user", "tweet"):
            assert case.vocabulary(name) == expected.ids[name]
            degrees = case.graph().load_degrees(name)[: len(expected.ids[name])]
            assert degrees.tolist() == [
                expected.degrees[name][entity] * (entity in expected.trained[name])
                for entity in expected.ids[name]
            ]
        for split in ("train", "valid", "test"):
            assert case.edges(split) == expected.edges(split)
