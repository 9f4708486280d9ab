# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of torch_lookup."""

from pathlib import Path

import numpy as np
import pytest
import torch

from twhin.client.local_source import LocalSource
from twhin.client.results import Vectors
from twhin.client.torch_lookup import EntityEmbedding, to_tensors
from twhin.testing.served_bundle import DIM, user_id, vector, write_bundle


@pytest.fixture(name="source")
def _source(tmp_path: Path) -> LocalSource:
    write_bundle(tmp_path)
    return LocalSource(tmp_path)


def test_tensors_lie_in_the_memory_of_the_arrays() -> None:
    received = np.frombuffer(np.arange(6, dtype=np.float32).tobytes(), np.float32)
    vectors = Vectors(
        values=received.reshape(2, 3), found=np.array([True, False]), version="v1"
    )

    values, found = to_tensors(vectors)

    assert values.data_ptr() == vectors.values.ctypes.data
    assert values.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert found.tolist() == [True, False]


def test_unknown_entities_get_the_missing_vector(source: LocalSource) -> None:
    module = EntityEmbedding(source, "user")
    with torch.no_grad():
        module.missing.fill_(7.0)

    looked_up = module(torch.tensor([[user_id(2), 5], [5, user_id(0)]]))

    assert looked_up.tolist() == [[vector(2), [7.0] * DIM], [[7.0] * DIM, vector(0)]]


def test_only_the_missing_vector_learns(source: LocalSource) -> None:
    module = EntityEmbedding(source, "tweet", dtype="float16")

    module(["t1", "unknown", "other"]).sum().backward()

    assert module.missing.grad is not None
    assert module.missing.grad.tolist() == [2.0] * DIM
    assert list(module.state_dict()) == ["missing"]


def test_an_unknown_entity_type_is_an_error(source: LocalSource) -> None:
    with pytest.raises(KeyError):
        EntityEmbedding(source, "usr")
