# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks what negatives are drawn, how often, and that ranks do not matter."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from twhin.testing.step_settings import make_negatives
from twhin.training.negative_sampler import NegativeSampler

_DEGREES = {"user": np.array([0, 1, 4, 9]), "tweet": np.array([3, 3])}


def _sampler(num_in_batch: int = 0, **settings: Any) -> NegativeSampler:
    return NegativeSampler(
        settings=make_negatives(**settings),
        num_entities={name: len(degrees) for name, degrees in _DEGREES.items()},
        degrees=_DEGREES,
        seed=5,
        num_in_batch=num_in_batch,
    )


def _draw(
    sampler: NegativeSampler, first_chunk: int, num_chunks: int, **changes: Any
) -> NDArray[np.int64]:
    arguments = {"entity_type": "user", "step": 2, "purpose": 1, **changes}
    return sampler.draw(**arguments, first_chunk=first_chunk, num_chunks=num_chunks)


@settings(deadline=None)  # A busy machine is no fault.
@given(first=st.integers(0, 50), count=st.integers(1, 20), cut=st.integers(0, 20))
def test_chunks_have_the_same_negatives_whoever_draws_them(
    first: int, count: int, cut: int
) -> None:
    sampler, other = (_sampler(num_by_degree=3) for _ in range(2))
    cut = min(cut, count)

    whole = _draw(sampler, first, count)

    parts = [_draw(other, first, cut), _draw(other, first + cut, count - cut)]
    assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("change", [{"step": 3}, {"purpose": 0}])
def test_steps_and_purposes_have_negatives_of_their_own(change: dict[str, Any]) -> None:
    sampler = _sampler()

    assert not np.array_equal(_draw(sampler, 0, 5), _draw(sampler, 0, 5, **change))


def test_shape_and_range_are_those_of_the_entity_type() -> None:
    sampler = _sampler(num_uniform=40, num_by_degree=20)

    users, tweets = _draw(sampler, 0, 3), _draw(sampler, 0, 3, entity_type="tweet")

    assert users.shape == tweets.shape == (3, 60)
    assert sampler.num_negatives == 60
    assert set(users.reshape(-1)) == {0, 1, 2, 3}
    assert set(tweets.reshape(-1)) == {0, 1}


def _expect_frequencies(drawn: NDArray[np.int64], shares: list[float]) -> None:
    """Asserts that each entity's count is within five standard deviations."""
    counts = np.bincount(drawn.reshape(-1), minlength=len(shares))
    for count, share in zip(counts, shares, strict=True):
        deviation = math.sqrt(drawn.size * share * (1 - share))
        assert abs(count - drawn.size * share) <= 5 * deviation


def test_uniform_negatives_are_equally_frequent() -> None:
    _expect_frequencies(_draw(_sampler(num_uniform=100), 0, 500), [0.25] * 4)


@pytest.mark.parametrize(
    ("alpha", "shares"),
    [
        (1.0, [0, 1 / 14, 4 / 14, 9 / 14]),
        (0.5, [0, 1 / 6, 2 / 6, 3 / 6]),
    ],
)
def test_negatives_by_degree_have_its_power_as_frequency(
    alpha: float, shares: list[float]
) -> None:
    sampler = _sampler(num_uniform=0, num_by_degree=100, degree_alpha=alpha)

    _expect_frequencies(_draw(sampler, 0, 500), shares)


def test_log_q_adds_what_each_kind_of_negatives_expects() -> None:
    sampler = _sampler(
        num_in_batch=28, num_uniform=8, num_by_degree=6, degree_alpha=0.5
    )

    # 8 / 4 uniform, 6 sqrt(d) / 6 by degree, 28 d / 14 in the batch.
    expected = np.log([2, 2 + 1 + 2, 2 + 2 + 8, 2 + 3 + 18])
    found = sampler.log_q("user", np.array([[0, 1], [2, 3]]))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.reshape(2, 2), rtol=1e-6)


def test_log_q_is_the_frequency_in_drawn_negatives() -> None:
    sampler = _sampler(num_uniform=60, num_by_degree=40)
    drawn = _draw(sampler, 0, 500)

    per_chunk = np.exp(sampler.log_q("user", np.arange(4)).astype(np.float64))

    _expect_frequencies(drawn, list(per_chunk / 100))


@pytest.mark.parametrize("settings", [{"num_by_degree": 1}, {"logq_correction": True}])
def test_missing_degrees_are_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="need degrees"):
        NegativeSampler(
            settings=make_negatives(**settings),
            num_entities={"user": 4},
            degrees=None,
            seed=0,
        )
