# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that an index depends on the rows alone."""

from pathlib import Path

import numpy as np
import pytest

from twhin.bundle.kinds import IndexKind
from twhin.retrieval.index_builder import build_index, index_path
from twhin.scoring import Comparator

_ROWS = np.random.default_rng(0).normal(size=(20_000, 8)).astype(np.float32)


@pytest.mark.parametrize("kind", list(IndexKind))
def test_blocks_and_threads_change_nothing(tmp_path: Path, kind: IndexKind) -> None:
    entries = [
        build_index(
            kind,
            Comparator.DOT,
            [_ROWS[i : i + step] for i in range(0, len(_ROWS), step)],
            dim=8,
            num_lists=16,
            folder=tmp_path,
            path=index_path("user", number, 2),
            num_threads=num_threads,
        )
        for number, (step, num_threads) in enumerate([(20_000, 1), (3000, 2)])
    ]

    first, second = (tmp_path / entry.path for entry in entries)
    assert entries[0].path == "indexes/user/shard-00000-of-00002.faiss"
    assert first.stat().st_size == entries[0].size_bytes
    assert first.read_bytes() == second.read_bytes()
    assert entries[0].crc32 == entries[1].crc32
