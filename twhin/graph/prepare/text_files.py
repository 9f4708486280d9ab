# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The beginnings of text files: header lines, keys of JSON lines, zip members."""

import csv
import gzip
import io
import itertools
import json
import shutil
import zipfile
from pathlib import Path
from typing import IO, cast

import fsspec
import pyarrow as pa

from twhin.errors import DataError

NUM_KEY_LINES = 1000
"""JSON lines of each file whose keys make up the columns of the file."""

_CHUNK_BYTES = 1 << 22


def read_header(file: str, delimiter: str) -> tuple[str, ...]:
    """Returns the column names in the first line of a CSV or TSV file.

    Raises:
      DataError: The file cannot be read, or its header names a column twice.
    """
    first_line = _read_lines(file, 1)[0]
    names = tuple(next(csv.reader([first_line], delimiter=delimiter)))
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(
            f"{file}: the header names column {repeated[0]!r} twice; allowed: each once"
        )
    return names


def read_keys(file: str) -> tuple[str, ...]:
    """Returns the keys of the first `NUM_KEY_LINES` lines of a JSON lines file.

    Raises:
      DataError: The file cannot be read, or a line is not an object.
    """
    keys: dict[str, None] = {}
    for number, line in enumerate(_read_lines(file, NUM_KEY_LINES), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise DataError(
                f"{file}: line {number} is not JSON ({error}); allowed: one object a"
                " line"
            ) from error
        if not isinstance(value, dict):
            raise DataError(
                f"{file}: line {number} is {line.strip()[:40]!r}; allowed: an object"
            )
        keys.update(dict.fromkeys(value))
    return tuple(keys)


def unzip(file: str, folder: Path) -> str:
    """Writes the only member of a zip file to `folder` and returns its path.

    Raises:
      DataError: The file is damaged or has several members.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{len(list(folder.iterdir()))}-{Path(file).stem}"
    try:
        with (
            _open_raw(file) as raw,
            zipfile.ZipFile(raw) as archive,
            archive.open(_only_member(file, archive)) as source,
            target.open("wb") as stream,
        ):
            shutil.copyfileobj(source, stream, _CHUNK_BYTES)
    except (zipfile.BadZipFile, EOFError) as error:
        raise _unreadable(file, error) from error
    return str(target)


def decompress(file: str, folder: Path) -> str:
    """Writes the content of a .gz or .zst file to `folder` and returns its path.

    Raises:
      DataError: The file is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{len(list(folder.iterdir()))}-{Path(file).stem}"
    try:
        with _open_raw(file) as raw, target.open("wb") as stream:
            shutil.copyfileobj(_decompress(file, raw), stream, _CHUNK_BYTES)
    except (OSError, EOFError) as error:
        raise _unreadable(file, error) from error
    return str(target)


def _only_member(file: str, archive: zipfile.ZipFile) -> str:
    members = [
        name
        for name in archive.namelist()
        if not name.endswith("/") and not name.startswith("__MACOSX/")
    ]
    if len(members) != 1:
        raise DataError(
            f"{file}: holds {len(members)} files, {members[:3]}; allowed: exactly one"
        )
    return members[0]


def _read_lines(file: str, count: int) -> list[str]:
    try:
        with _open_raw(file) as raw:
            text = io.TextIOWrapper(
                _decompress(file, raw), encoding="utf-8-sig", newline=""
            )
            lines = list(itertools.islice(text, count))
    except (OSError, EOFError, UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise _unreadable(file, error) from error
    if not lines:
        raise DataError(f"{file}: empty file; allowed: files with edges")
    return lines


def _open_raw(file: str) -> IO[bytes]:
    return cast(IO[bytes], fsspec.open(file, "rb").open())


def _decompress(file: str, raw: IO[bytes]) -> IO[bytes]:
    if file.endswith(".gz"):
        return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
    if file.endswith(".zst"):
        return cast(IO[bytes], pa.CompressedInputStream(raw, "zstd"))
    if file.endswith(".zip"):
        archive = zipfile.ZipFile(raw)
        return archive.open(_only_member(file, archive))
    return raw


def _unreadable(file: str, error: Exception) -> DataError:
    return DataError(
        f"{file}: cannot be read ({error}); allowed: UTF-8 text, plain, .gz, .zst or"
        " .zip"
    )
