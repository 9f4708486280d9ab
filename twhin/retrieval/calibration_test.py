# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that the recall that is measured is the recall that searches have."""

import copy

import numpy as np
import pytest

from twhin.bundle.bundle import Bundle
from twhin.bundle.kinds import IndexKind
from twhin.retrieval import calibration
from twhin.retrieval.calibration import Calibration
from twhin.retrieval.operators import Query
from twhin.retrieval.retriever import Retriever
from twhin.scoring import Operator
from twhin.testing.small_bundle import (
    RelationForTest,
    TableForTest,
    write_bundle_for_test,
)
from twhin.testing.small_index import add_index_for_test

_NUM_LISTS = 32


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """3,000 vectors with norms that differ, and a relation away from them."""
    folder = tmp_path_factory.mktemp("bundle")
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(3000, 16)) * generator.lognormal(size=(3000, 1))
    write_bundle_for_test(
        folder,
        {
            "user": TableForTest(ids=range(3000), vectors=vectors),
            "empty": TableForTest(ids=[], vectors=np.empty((0, 16))),
        },
        [
            RelationForTest(
                name="follows",
                lhs="user",
                rhs="user",
                operator=Operator.TRANSLATION,
                parameters=generator.normal(size=16),
            ),
            RelationForTest(name="from_nobody", lhs="empty", rhs="user"),
        ],
        num_shards=2,
    )
    add_index_for_test(
        folder, "user", IndexKind.IVF_FP16, num_lists=_NUM_LISTS, num_probes=1
    )
    return Bundle.open(folder)


def test_chosen_probes_are_the_fewest_that_reach_the_recall(bundle: Bundle) -> None:
    measured = Calibration(bundle, "user", calibration.row_queries(bundle, "user"))

    num_probes, recall = measured.choose_num_probes(0.9)

    assert 1 < num_probes < _NUM_LISTS
    assert recall == measured.recall(num_probes) >= 0.9
    assert measured.recall(num_probes - 1) < 0.9


def test_recall_grows_to_one_with_all_lists(bundle: Bundle) -> None:
    measured = Calibration(bundle, "user", calibration.row_queries(bundle, "user"))

    recalls = [measured.recall(n) for n in (1, 4, 16, _NUM_LISTS)]

    assert recalls == sorted(recalls)
    assert recalls[-1] == 1.0
    assert measured.choose_num_probes(1.0)[1] == 1.0


def test_recall_is_that_of_other_queries_too(bundle: Bundle) -> None:
    queries = calibration.row_queries(bundle, "user", seed=1)
    num_probes, recall = Calibration(bundle, "user", queries).choose_num_probes(0.9)
    retriever = Retriever(bundle)
    rows = np.random.default_rng(9).integers(3000, size=200)
    query = Query(vectors=bundle.vectors("user", rows))

    found = retriever.search("user", query, 100, num_probes=num_probes).rows
    truth = retriever.search("user", query, 100, exact=True).rows

    same = [np.isin(a, b).mean() for a, b in zip(found, truth, strict=True)]
    assert np.mean(same) == pytest.approx(recall, abs=0.05)


def test_relation_queries_are_entities_that_a_relation_moved(bundle: Bundle) -> None:
    queries = calibration.relation_queries(bundle, "user")

    assert queries is not None
    assert queries.is_related
    step = bundle.relations["follows"].parameters
    users = bundle.vectors("user", np.arange(3000))
    # As lhs entities, plus the translation; as rhs entities, without it.
    starts = np.concatenate((queries.vectors - step, queries.vectors))
    distances = np.abs(starts[:, None] - users).max(-1).min(1).reshape(2, -1)
    assert (distances.min(0) < 1e-5).all()
    assert ((distances < 1e-5).mean(1) > 0.3).all()
    assert calibration.relation_queries(bundle, "empty") is not None


def test_a_type_that_no_relation_leads_to_has_no_relation_queries(
    bundle: Bundle,
) -> None:
    only = bundle.relations["from_nobody"]
    alone = copy.copy(bundle)
    alone.relations = {"from_nobody": only}

    assert calibration.relation_queries(alone, "user") is None


def test_the_smallest_number_is_found() -> None:
    for smallest in range(1, 33):
        assert calibration._smallest(lambda n, s=smallest: n >= s, 32) == smallest  # type: ignore[misc]
    assert calibration._smallest(lambda n: False, 20) == 20
