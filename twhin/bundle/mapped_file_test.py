# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that files are mapped only with the size that they must have."""

from pathlib import Path

import numpy as np
import pytest

from twhin.bundle.mapped_file import MappedFile
from twhin.errors import BundleError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "numbers.bin"
    found.write_bytes(np.arange(6, dtype="<f4").tobytes())
    return found


def test_array_is_the_content_and_read_only(path: Path) -> None:
    array = MappedFile(path, size_bytes=24).array("<f4", (2, 3))

    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(ValueError, match="read-only"):
        array[0, 0] = 1


def test_array_outlives_file_and_mapping(path: Path) -> None:
    array = MappedFile(path, size_bytes=24).array("<f4", (6,))
    path.unlink()

    assert array.sum() == 15


def test_an_empty_file_is_an_empty_array(tmp_path: Path) -> None:
    path = tmp_path / "empty.bin"
    path.touch()

    file = MappedFile(path, size_bytes=0)
    file.warm(lock=True)

    assert file.array(np.int64, (0, 4)).shape == (0, 4)


def test_missing_files_and_other_sizes_are_refused(path: Path) -> None:
    with pytest.raises(BundleError, match="cannot be opened: No such file"):
        MappedFile(path.with_name("other"), size_bytes=24)
    with pytest.raises(BundleError, match="has 24 bytes; the manifest says 32"):
        MappedFile(path, size_bytes=32)


def test_arrays_of_another_size_are_refused(path: Path) -> None:
    file = MappedFile(path, size_bytes=24)

    with pytest.raises(BundleError, match=r"holds 6 numbers; expected \(2, 2\)"):
        file.array("<f4", (2, 2))
    with pytest.raises(BundleError, match="24 bytes are no"):
        file.array(np.dtype("V5"), (5,))


def test_warming_brings_the_pages_into_memory(path: Path) -> None:
    file = MappedFile(path, size_bytes=24)

    file.warm(lock=False)

    assert file.array("<f4", (6,)).sum() == 15
