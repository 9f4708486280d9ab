# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that files lie side by side in one array, and go when it goes."""

import gc
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from twhin.bundle.mapped_region import MappedRegion
from twhin.errors import BundleError

_SIZES = [5, 1, 3000]


def _write(
    folder: Path, width: int
) -> tuple[list[tuple[Path, int]], list[npt.NDArray[np.float32]]]:
    files, contents = [], []
    for number, size in enumerate(_SIZES):
        rows = np.random.default_rng(number).normal(size=(size, width))
        contents.append(rows.astype(np.float32))
        path = folder / f"rows-{number}.bin"
        path.write_bytes(contents[-1].tobytes())
        files.append((path, path.stat().st_size))
    return files, contents


@pytest.mark.parametrize("width", [1, 3, 64, 97])
def test_files_are_rows_of_one_array(tmp_path: Path, width: int) -> None:
    files, contents = _write(tmp_path, width)

    region = MappedRegion(files, row_bytes=4 * width)
    array = region.array(np.float32)
    region.warm(lock=False)

    assert array.shape[1] == width
    assert region.size_bytes == 4 * width * sum(_SIZES)
    for start, rows in zip(region.starts, contents, strict=True):
        assert (array[start : start + len(rows)] == rows).all()
    assert not array[_SIZES[0] : region.starts[1]].any()
    assert len(array) == region.starts[2] + _SIZES[2]


def test_rows_cannot_be_written(tmp_path: Path) -> None:
    files, _ = _write(tmp_path, 3)

    array = MappedRegion(files, row_bytes=12).array(np.float32)

    with pytest.raises(ValueError, match="read-only"):
        array[0, 0] = 1


def test_mapping_ends_with_the_last_array(tmp_path: Path) -> None:
    files, contents = _write(tmp_path, 64)
    names = [str(path) for path, _ in files]

    array = MappedRegion(files, row_bytes=256).array(np.float32)[:5]
    gc.collect()
    while_used = Path("/proc/self/maps").read_text()
    assert (array == contents[0]).all()
    del array
    gc.collect()
    after = Path("/proc/self/maps").read_text()

    assert all(name in while_used for name in names)
    assert not any(name in after for name in names)


def test_missing_files_and_other_sizes_are_refused(tmp_path: Path) -> None:
    files, _ = _write(tmp_path, 3)

    with pytest.raises(BundleError, match=r"rows-1\.bin: has 12 bytes; the manif"):
        MappedRegion([files[0], (files[1][0], 24)], row_bytes=12)
    with pytest.raises(BundleError, match="absent: cannot be opened: No such file"):
        MappedRegion([files[0], (tmp_path / "absent", 24)], row_bytes=12)
    with pytest.raises(BundleError, match="bytes of addresses cannot be reserved"):
        MappedRegion([(files[0][0], 1 << 60)], row_bytes=4)
