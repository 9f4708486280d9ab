# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks steps against a brute-force account of what each edge is compared with."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from twhin.config.settings import KnownEdges as MaskKnown
from twhin.graph.edge_batch import EdgeBatch
from twhin.graph.edge_columns import EdgeColumns
from twhin.graph.schema import EntityTypeSchema, GraphSchema, RelationSchema
from twhin.model.edge_group import EdgeGroup
from twhin.side import Side
from twhin.testing.ranks import run_ranks
from twhin.testing.step_settings import make_negatives
from twhin.training.known_edges import KnownEdges
from twhin.training.negative_sampler import NegativeSampler
from twhin.training.step_batch import StepBatch
from twhin.training.step_batch_builder import StepBatchBuilder

Edge = tuple[int, int, int]

_NUM_ENTITIES = {"user": 4, "tweet": 3}
_RELATIONS = (
    RelationSchema(name="follows", lhs="user", rhs="user"),
    RelationSchema(name="likes", lhs="user", rhs="tweet"),
    RelationSchema(name="blocks", lhs="user", rhs="user"),
)
_SCHEMA = GraphSchema(
    entity_types=tuple(
        EntityTypeSchema(name=name, num_entities=count)
        for name, count in _NUM_ENTITIES.items()
    ),
    relations=_RELATIONS,
)
_DEGREES = {"user": np.array([5, 1, 2, 2]), "tweet": np.array([4, 1, 1])}
_EDGE = st.integers(0, 2).flatmap(
    lambda rel: st.tuples(
        st.integers(0, _NUM_ENTITIES[_RELATIONS[rel].lhs] - 1),
        st.just(rel),
        st.integers(0, _NUM_ENTITIES[_RELATIONS[rel].rhs] - 1),
    )
)
# A busy machine is no fault.
_NO_DEADLINE = example_settings(deadline=None)
_EDGES = st.lists(_EDGE, max_size=14)
_SETTINGS = st.fixed_dictionaries(
    {
        "chunk_size": st.integers(1, 6),
        "in_batch": st.booleans(),
        "num_uniform": st.integers(0, 5),
        "num_by_degree": st.integers(0, 3),
        "mask_known": st.sampled_from(MaskKnown),
    }
)


def _columns(edges: Sequence[Edge]) -> list[Any]:
    return list(np.array(edges, dtype=np.int64).reshape(-1, 3).T.copy())


def _batch(edges: Sequence[Edge], **changes: Any) -> EdgeBatch:
    lhs, rel, rhs = map(torch.from_numpy, _columns(edges))
    return EdgeBatch(lhs=lhs, rel=rel, rhs=rhs, **changes)


def _builder(
    settings: dict[str, Any], train: Sequence[Edge] = (), **changes: Any
) -> StepBatchBuilder:
    known_edges = None
    if train:
        lhs, rel, rhs = _columns(train)
        known_edges = KnownEdges(EdgeColumns(lhs=lhs, rel=rel, rhs=rhs, weight=None))
    arguments: dict[str, Any] = {
        "loss_weights": [1.0, 1.0, 1.0],
        "batch_size": 20,
        "seed": 7,
        **changes,
    }
    return StepBatchBuilder(
        schema=_SCHEMA,
        settings=make_negatives(**settings),
        degrees=_DEGREES,
        known_edges=known_edges,
        **arguments,
    )


def _edges_of(batch: StepBatch, group: EdgeGroup) -> list[Edge]:
    lhs = group.lhs.segment.of(batch.rows[group.lhs_type]).tolist()
    rhs = group.rhs.segment.of(batch.rows[group.rhs_type]).tolist()
    return list(zip(lhs, group.rel.tolist(), rhs, strict=True))


def _replaced(side: Side, edge: Edge, entity: int) -> Edge:
    lhs, rel, rhs = edge
    return (entity, rel, rhs) if side is Side.LHS else (lhs, rel, entity)


def _is_masked(
    mask_known: MaskKnown,
    changed: Edge,
    edge: Edge,
    chunk: Sequence[Edge],
    train: Sequence[Edge],
) -> bool:
    """Says by scanning whether a changed edge is no negative of an edge."""
    known = {MaskKnown.SELF: [edge], MaskKnown.BATCH: chunk, MaskKnown.TRAIN: train}
    return changed in known[mask_known]


def _check_masks(
    batch: StepBatch,
    group: EdgeGroup,
    mask_known: MaskKnown,
    train: Sequence[Edge],
) -> None:
    """Compares the masks of a group, kind by kind, with those of a scan."""
    edges, size = _edges_of(batch, group), group.chunk_size
    for side, part in ((Side.LHS, group.lhs), (Side.RHS, group.rhs)):
        name = group.lhs_type if side is Side.LHS else group.rhs_type
        negatives = part.negatives.of(batch.rows[name]).tolist()
        drawn, own = set(), set()
        for number, edge in enumerate(edges):
            first = number // size * size
            chunk = edges[first : first + size]
            start = 0 if part.shared_negatives else number // size * part.num_negatives
            for column in range(part.num_negatives):
                changed = _replaced(side, edge, negatives[start + column])
                if _is_masked(mask_known, changed, edge, chunk, train):
                    drawn.add((number, column))
            for column, other in enumerate(chunk):
                entity = other[0] if side is Side.LHS else other[2]
                changed = _replaced(side, edge, entity)
                if _is_masked(mask_known, changed, edge, chunk, train):
                    own.add((number, column))
        pairs = list(map(tuple, part.masked_negatives.T.tolist()))
        assert len(pairs) == len(set(pairs))
        assert set(pairs) == drawn
        if part.masked_in_batch is not None:
            pairs = list(map(tuple, part.masked_in_batch.T.tolist()))
            assert len(pairs) == len(set(pairs))
            assert set(pairs) == own


@_NO_DEADLINE
@given(edges=_EDGES, more=_EDGES, settings=_SETTINGS)
def test_masks_are_those_of_a_scan(
    edges: list[Edge], more: list[Edge], settings: dict[str, Any]
) -> None:
    batch = _builder(settings, [*edges, *more, (0, 0, 0)]).build(_batch(edges), 3)

    train = [*edges, *more, (0, 0, 0)]
    for group in batch.groups:
        _check_masks(batch, group, settings["mask_known"], train)
        assert (group.lhs.masked_in_batch is not None) == settings["in_batch"]


@_NO_DEADLINE
@given(edges=_EDGES, more=_EDGES, mask_known=st.sampled_from(MaskKnown))
def test_masks_among_all_entities_are_those_of_a_scan(
    edges: list[Edge], more: list[Edge], mask_known: MaskKnown
) -> None:
    train = [*edges, *more, (0, 0, 0)]
    settings = {"all_entities": True, "num_uniform": 0, "mask_known": mask_known}

    batch = _builder(settings, train).build(_batch(edges), 3)

    for group in batch.groups:
        for name, side in ((group.lhs_type, group.lhs), (group.rhs_type, group.rhs)):
            rows = side.negatives.of(batch.rows[name])
            assert rows.tolist() == list(range(_NUM_ENTITIES[name]))
            assert side.shared_negatives
            assert side.num_negatives == _NUM_ENTITIES[name]
        _check_masks(batch, group, mask_known, train)


@_NO_DEADLINE
@given(edges=_EDGES, settings=_SETTINGS)
def test_every_edge_is_in_the_group_of_its_entity_types_in_order(
    edges: list[Edge], settings: dict[str, Any]
) -> None:
    batch = _builder(settings, [(0, 0, 0)]).build(_batch(edges), 0)

    groups = {(group.lhs_type, group.rhs_type): group for group in batch.groups}
    assert len(groups) == len(batch.groups)
    assert batch.num_edges == len(edges)
    assert list(batch.rows) == ["user", "tweet"]
    for (lhs_type, rhs_type), group in groups.items():
        assert _edges_of(batch, group) == [
            edge
            for edge in edges
            if (_RELATIONS[edge[1]].lhs, _RELATIONS[edge[1]].rhs)
            == (lhs_type, rhs_type)
        ]


@_NO_DEADLINE
@given(edges=_EDGES, settings=_SETTINGS)
def test_negatives_are_entities_of_the_side_and_every_row_has_one_segment(
    edges: list[Edge], settings: dict[str, Any]
) -> None:
    batch = _builder(settings, [(0, 0, 0)]).build(_batch(edges), 0)

    num_negatives = settings["num_uniform"] + settings["num_by_degree"]
    used: dict[str, list[int]] = {"user": [], "tweet": []}
    for group in batch.groups:
        for name, side in ((group.lhs_type, group.lhs), (group.rhs_type, group.rhs)):
            assert side.num_negatives == num_negatives
            assert len(side.negatives) == group.num_chunks * num_negatives
            for segment in (side.segment, side.negatives):
                used[name].extend(range(segment.start, segment.stop))
    for name, rows in batch.rows.items():
        assert rows.dtype == torch.int64
        assert sorted(used[name]) == list(range(len(rows)))
        assert bool(((rows >= 0) & (rows < _NUM_ENTITIES[name])).all())


def test_negatives_depend_on_the_number_of_the_chunk_over_all_ranks() -> None:
    """Rank 1's first chunk is the second of a batch of one chunk a rank."""
    settings = {"chunk_size": 4, "num_by_degree": 2}
    edges = [(0, 1, 0)] * 8
    sampler = NegativeSampler(
        settings=make_negatives(**settings),
        num_entities=_NUM_ENTITIES,
        degrees=_DEGREES,
        seed=7,
    )

    whole = _builder(settings, batch_size=8).build(_batch(edges), 5)
    parts = [
        _builder(settings, batch_size=4, rank=rank).build(_batch(edges[:4]), 5)
        for rank in range(2)
    ]

    expected = sampler.draw("tweet", step=5, purpose=3, first_chunk=0, num_chunks=2)
    for batches in ([whole], parts):
        rows = [b.groups[0].rhs.negatives.of(b.rows["tweet"]) for b in batches]
        assert torch.cat(rows).tolist() == expected.reshape(-1).tolist()


def test_weights_are_those_of_edges_times_relations_and_factor_0_leaves_out() -> None:
    builder = _builder({}, loss_weights=[2.0, 0.0, 0.5])
    edges = [(0, 0, 1), (0, 1, 0), (1, 2, 2)]

    batch = builder.build(_batch(edges, weight=torch.tensor([1.0, 3.0, 5.0])), 0)

    (group,) = batch.groups
    assert _edges_of(batch, group) == [(0, 0, 1), (1, 2, 2)]
    assert group.weight.tolist() == [2.0, 2.5]
    assert batch.num_edges == 2
    assert len(batch.rows["tweet"]) == 0


def test_log_q_belongs_to_the_entities_and_negatives() -> None:
    settings = {
        "chunk_size": 2,
        "in_batch": True,
        "num_uniform": 4,
        "logq_correction": True,
    }
    edges = [(0, 1, 0), (1, 1, 1), (2, 1, 2)]

    batch = _builder(settings).build(_batch(edges), 0)

    (group,) = batch.groups
    # 4 of 4 users uniformly, and 2 by degree / 10 in the batch.
    assert group.lhs.log_q is not None
    torch.testing.assert_close(
        group.lhs.log_q, torch.tensor([1 + 1.0, 1 + 0.2, 1 + 0.4]).log()
    )
    users = group.lhs.negatives.of(batch.rows["user"])
    expected = torch.tensor([2.0, 1.2, 1.4, 1.4])[users].log().view(2, 4)
    assert group.lhs.negative_log_q is not None
    torch.testing.assert_close(group.lhs.negative_log_q, expected)


def test_what_the_settings_need_and_is_not_given_is_an_error() -> None:
    with pytest.raises(ValueError, match="TRAIN needs known_edges"):
        _builder({"mask_known": MaskKnown.TRAIN})
    with pytest.raises(ValueError, match="needs shared_group"):
        _builder({"in_batch": True, "share_across_ranks": True}, world_size=2)


# Edges of two ranks: their groups of users have 3 chunks and 2, of different length;
# rank 1 has no edge with a tweet.
_RANK_EDGES: list[list[Edge]] = [
    [(0, 0, 1), (1, 0, 1), (0, 2, 3), (3, 0, 3), (2, 0, 0), (0, 1, 0), (3, 1, 2)],
    [(0, 0, 2), (1, 0, 2), (0, 2, 1)],
]


def _build_shared(mask_known: str) -> list[StepBatch]:
    """Builds a step, and one for which this rank has edges and the other none."""
    rank = dist.get_rank()
    settings = {
        "chunk_size": 2,
        "num_uniform": 3,
        "in_batch": True,
        "share_across_ranks": True,
        "logq_correction": True,
        "mask_known": MaskKnown(mask_known),
    }
    train = _RANK_EDGES[0] + _RANK_EDGES[1]
    builder = _builder(
        settings, train, rank=rank, world_size=2, shared_group=dist.group.WORLD
    )
    return [
        builder.build(_batch(_RANK_EDGES[rank]), 0),
        builder.build(_batch(_RANK_EDGES[0] if rank == 0 else []), 1),
    ]


def _build_all_shared() -> dict[str, list[StepBatch]]:
    return {mask_known: _build_shared(mask_known) for mask_known in MaskKnown}


@pytest.fixture(scope="module")
def shared() -> list[dict[str, list[StepBatch]]]:
    """What each of two ranks builds with shared negatives."""
    return run_ranks(_build_all_shared, 2)


def _user_edges(rank: int) -> list[Edge]:
    return [edge for edge in _RANK_EDGES[rank] if edge[1] != 1]


@pytest.mark.parametrize("rank", [0, 1])
def test_entities_of_the_other_ranks_chunk_are_negatives(
    shared: list[dict[str, list[StepBatch]]], rank: int
) -> None:
    batch = shared[rank][MaskKnown.SELF][0]
    others = _user_edges(1 - rank)

    group = batch.groups[0]
    rows = group.rhs.negatives.of(batch.rows["user"]).view(group.num_chunks, -1)

    assert group.rhs.num_negatives == 3 + 2
    for chunk in range(group.num_chunks):
        expected = [edge[2] for edge in others[2 * chunk : 2 * chunk + 2]]
        assert rows[chunk, 3 : 3 + len(expected)].tolist() == expected


@pytest.mark.parametrize("mask_known", MaskKnown)
@pytest.mark.parametrize("rank", [0, 1])
def test_shared_negatives_are_masked_like_the_others(
    shared: list[dict[str, list[StepBatch]]], rank: int, mask_known: MaskKnown
) -> None:
    batch = shared[rank][mask_known][0]
    others, train = _user_edges(1 - rank), _RANK_EDGES[0] + _RANK_EDGES[1]
    group = batch.groups[0]
    edges = _edges_of(batch, group)

    for side, part in ((Side.LHS, group.lhs), (Side.RHS, group.rhs)):
        rows = part.negatives.of(batch.rows["user"]).view(group.num_chunks, -1)
        expected = set()
        for number, edge in enumerate(edges):
            chunk = number // 2
            makers = [
                *edges[2 * chunk : 2 * chunk + 2],
                *others[2 * chunk : 2 * chunk + 2],
            ]
            for column, entity in enumerate(rows[chunk].tolist()):
                is_absent = column >= 3 + len(others[2 * chunk : 2 * chunk + 2])
                changed = _replaced(side, edge, entity)
                if is_absent or _is_masked(mask_known, changed, edge, makers, train):
                    expected.add((number, column))
        pairs = list(map(tuple, part.masked_negatives.T.tolist()))
        assert len(pairs) == len(set(pairs))
        assert set(pairs) == expected


def test_ranks_without_edges_share_nothing(
    shared: list[dict[str, list[StepBatch]]],
) -> None:
    tweets = shared[0][MaskKnown.BATCH][0].groups[1]
    alone, without = shared[0][MaskKnown.BATCH][1], shared[1][MaskKnown.BATCH][1]

    assert tweets.rhs.num_negatives == 3
    assert [group.rhs.num_negatives for group in alone.groups] == [3, 3]
    assert without.groups == ()
    assert without.num_edges == 0


def test_log_q_counts_the_chunks_of_all_ranks(
    shared: list[dict[str, list[StepBatch]]],
) -> None:
    batch = shared[0][MaskKnown.BATCH][0]
    group = batch.groups[1]

    # 3 of 3 tweets uniformly, and 2 ranks of 2 by degree / 6 in the batch.
    assert group.rhs.log_q is not None
    torch.testing.assert_close(
        group.rhs.log_q, torch.tensor([1 + 16 / 6, 1 + 4 / 6]).log()
    )
    assert group.lhs.negative_log_q is not None
    assert bool(torch.isfinite(group.lhs.negative_log_q).all())


@pytest.mark.parametrize(
    ("num_edges", "chunk_size", "num_chunks"),
    [(1, 1, 1), (4, 4, 1), (5, 5, 1), (6, 3, 2), (9, 5, 2), (12, 4, 3), (14, 4, 4)],
)
def test_edges_are_cut_into_chunks_of_about_the_size_asked_for(
    num_edges: int, chunk_size: int, num_chunks: int
) -> None:
    builder = _builder({"chunk_size": 4, "num_uniform": 2})

    (group,) = builder.build(_batch([(0, 1, 0)] * num_edges), step=0).groups

    assert (group.chunk_size, group.num_chunks) == (chunk_size, num_chunks)
    assert len(group.rhs.negatives) == 2 * num_chunks


def test_a_side_that_is_not_ranked_has_no_negatives() -> None:
    settings = {"num_uniform": 5, "in_batch": True}
    batch = _builder(settings, ranked_sides=(Side.RHS,)).build(_batch([(1, 0, 2)]), 0)

    (group,) = batch.groups
    assert (group.lhs.num_negatives, group.lhs.masked_in_batch) == (0, None)
    assert (group.rhs.num_negatives, len(group.rhs.negatives)) == (5, 5)
    assert sum(map(len, batch.rows.values())) == 2 + 5


def test_chunks_are_made_for_compiled_loops_alone() -> None:
    edges = _batch([(1, 0, 2), (2, 1, 0)])

    batch = _builder({}, for_compiled_loops=True).build(edges, 0)

    assert batch.chunks is not None
    assert batch.chunks.tables == tuple(batch.rows)
    assert batch.chunks.edges.bounds.tolist() == [0, 1, 2]
    assert _builder({}).build(edges, 0).chunks is None
