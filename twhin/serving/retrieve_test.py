# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of retrieve and score."""

from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from twhin.serving.limits import Limits
from twhin.serving.live_bundle import ServedBundle
from twhin.serving.refusal_error import RefusalError
from twhin.serving.retrieve import answer_retrieve
from twhin.serving.score import answer_score
from twhin.testing.served_bundle import (
    TRANSLATION,
    make_metrics,
    open_live,
    vector,
    write_bundle,
)
from twhin.v1 import embedding_service_pb2 as pb

_LIMITS = Limits(max_queries=2, max_k=10, max_ids=3)


@pytest.fixture(name="served")
def _served(tmp_path: Path) -> ServedBundle:
    write_bundle(tmp_path)
    return open_live(tmp_path)[0].get()


def _ints(*ids: int) -> pb.EntityIds:
    return pb.EntityIds(int_ids=ids)


def _strings(*ids: str) -> pb.EntityIds:
    return pb.EntityIds(string_ids=ids)


def _retrieve(served: ServedBundle, **fields: Any) -> pb.RetrieveResponse:
    request = pb.RetrieveRequest(**{"entity_type": "user", "k": 2, **fields})
    return answer_retrieve(request, served, _LIMITS, make_metrics()[0])


def _score(served: ServedBundle, **fields: Any) -> list[float]:
    request = pb.ScoreRequest(**{"relation": "likes", **fields})
    answer = answer_score(request, served, _LIMITS, make_metrics()[0])
    scores: list[float] = np.frombuffer(answer.scores, "<f4").tolist()
    return scores


def _edge(lhs: int, rhs: int) -> float:
    """Returns the score of a user liking a tweet: (x + translation) . y."""
    return float(np.add(vector(lhs), TRANSLATION) @ np.array(vector(rhs)))


def test_best_entities_come_first_through_the_relation(served: ServedBundle) -> None:
    answer = _retrieve(served, ids=_ints(30), relation="likes")

    assert list(answer.counts) == [2]
    assert list(answer.ids.string_ids) == ["t4", "t3"]
    expected = [_edge(2, 4), _edge(2, 3)]
    assert np.frombuffer(answer.scores, "<f4").tolist() == expected
    assert answer.version == "v000001"


def test_an_unknown_query_has_no_entities(served: ServedBundle) -> None:
    answer = _retrieve(served, ids=_ints(11, 30), relation="likes", k=1)

    assert list(answer.counts) == [0, 1]
    assert list(answer.ids.string_ids) == ["t4"]


def test_a_vector_queries_as_its_id_does(served: ServedBundle) -> None:
    values = np.array([vector(2)], "<f4").tobytes()

    by_vector = _retrieve(served, vectors=values, relation="likes")

    assert by_vector == _retrieve(served, ids=_ints(30), relation="likes")


def test_the_lhs_is_ranked_by_the_same_scores(served: ServedBundle) -> None:
    answer = _retrieve(
        served,
        entity_type="tweet",
        ids=_strings("t4"),
        relation="likes",
        side=pb.SIDE_LHS,
    )

    assert list(answer.ids.int_ids) == [60, 50]
    assert np.frombuffer(answer.scores, "<f4").tolist() == [_edge(5, 4), _edge(4, 4)]


def test_without_a_relation_the_own_type_is_searched(served: ServedBundle) -> None:
    answer = _retrieve(served, ids=_ints(10))

    # The dot products of [0, 0, 1, 0] are all 1.
    assert len(answer.ids.int_ids) == 2
    assert np.frombuffer(answer.scores, "<f4").tolist() == [1.0, 1.0]


def test_excluded_and_low_entities_are_left_out(served: ServedBundle) -> None:
    answer = _retrieve(
        served,
        ids=_ints(30),
        relation="likes",
        k=5,
        exclude=_strings("t4", "unknown"),
        min_score=_edge(2, 2),
    )

    assert list(answer.ids.string_ids) == ["t3", "t2"]


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        ({"ids": _ints(10), "k": 0}, "INVALID_ARGUMENT", "k: is 0; allowed: 1 to 10"),
        ({"ids": _ints(10), "k": 11}, "INVALID_ARGUMENT", "k: is 11; allowed: 1 to 10"),
        ({}, "INVALID_ARGUMENT", "ids, vectors: allowed: exactly one of them"),
        (
            {"ids": _ints(10), "vectors": bytes(16)},
            "INVALID_ARGUMENT",
            "ids, vectors: allowed: exactly one of them",
        ),
        (
            {"ids": _ints(1, 2, 3)},
            "INVALID_ARGUMENT",
            "ids: has 3 ids; allowed: at most 2",
        ),
        (
            {"vectors": bytes(48)},
            "INVALID_ARGUMENT",
            "vectors: has 3 queries; allowed: at most 2",
        ),
        (
            {"vectors": bytes(15)},
            "INVALID_ARGUMENT",
            "vectors: has 15 bytes; allowed: a multiple of 16",
        ),
        (
            {"vectors": np.full(4, np.nan, "<f4").tobytes()},
            "INVALID_ARGUMENT",
            "vectors: has numbers that are not finite; allowed: finite",
        ),
        (
            {"ids": _ints(10), "relation": "like"},
            "NOT_FOUND",
            "relation: unknown relation 'like'; known: ['follows', 'likes']; did you "
            "mean 'likes'?",
        ),
        (
            {"ids": _ints(10), "relation": "likes", "side": pb.SIDE_LHS},
            "INVALID_ARGUMENT",
            "entity_type: is 'user'; allowed: 'tweet', the other side of 'likes'",
        ),
        (
            {"ids": _ints(10), "side": 9},
            "INVALID_ARGUMENT",
            "side: is 9; allowed: SIDE_LHS, SIDE_RHS",
        ),
        (
            {"ids": _ints(10), "min_score": float("nan")},
            "INVALID_ARGUMENT",
            "min_score: is not a number; allowed: a number",
        ),
        (
            {"ids": _ints(10), "exclude": _ints(1, 2, 3, 4)},
            "INVALID_ARGUMENT",
            "exclude: has 4 ids; allowed: at most 3",
        ),
        (
            {"ids": _ints(10), "entity_type": "word"},
            "NOT_FOUND",
            "entity_type: unknown entity type 'word'; known: ['tweet', 'user']",
        ),
    ],
)
def test_bad_retrievals_are_refused(
    served: ServedBundle, fields: dict[str, Any], code: str, message: str
) -> None:
    with pytest.raises(RefusalError) as caught:
        _retrieve(served, **fields)

    assert (caught.value.code.name, caught.value.message) == (code, message)


def test_scores_are_those_of_the_edges(served: ServedBundle) -> None:
    scores = _score(served, lhs=_ints(30), rhs=_strings("t1", "unknown", "t4"))

    assert scores[::2] == [_edge(2, 1), _edge(2, 4)]
    assert np.isnan(scores[1])


def test_scores_of_a_vector_are_those_of_its_id(served: ServedBundle) -> None:
    values = np.array(vector(2), "<f4").tobytes()

    assert _score(served, lhs_vector=values, rhs=_strings("t4")) == [_edge(2, 4)]


def test_an_unknown_lhs_gives_no_number(served: ServedBundle) -> None:
    assert np.isnan(_score(served, lhs=_ints(11), rhs=_strings("t1", "t2"))).all()


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        (
            {"rhs": _strings("t1")},
            "INVALID_ARGUMENT",
            "lhs, lhs_vector: allowed: exactly one of them",
        ),
        (
            {"lhs": _ints(10, 20), "rhs": _strings("t1")},
            "INVALID_ARGUMENT",
            "lhs: has 2 ids; allowed: at most 1",
        ),
        (
            {"lhs": _ints(), "rhs": _strings("t1")},
            "INVALID_ARGUMENT",
            "lhs: has no id; allowed: exactly 1",
        ),
        (
            {"lhs_vector": bytes(32), "rhs": _strings("t1")},
            "INVALID_ARGUMENT",
            "lhs_vector: has 2 vectors; allowed: 1",
        ),
        (
            {"lhs": _ints(10), "rhs": _strings("a", "b", "c", "d")},
            "INVALID_ARGUMENT",
            "rhs: has 4 ids; allowed: at most 3",
        ),
        (
            {"lhs": _ints(10), "relation": "hates"},
            "NOT_FOUND",
            "relation: unknown relation 'hates'; known: ['follows', 'likes']",
        ),
    ],
)
def test_bad_scorings_are_refused(
    served: ServedBundle, fields: dict[str, Any], code: str, message: str
) -> None:
    with pytest.raises(RefusalError) as caught:
        _score(served, **fields)

    assert caught.value.code is grpc.StatusCode[code]
    assert caught.value.message == message
