# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The files of raw edges: found, sized and digested."""

import glob
import hashlib
import os
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass

import fsspec

from twhin.config import paths
from twhin.config.settings import EdgeSource, RawEdges
from twhin.errors import DataError
from twhin.graph.manifest import SPLITS, InputFile

_CHUNK_BYTES = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True)
class RawSource:
    """One source of raw edges with its files.

    Attributes:
      where: The path of the source in the configuration: "data.raw.train[0]".
      split: "train", "valid" or "test".
      view: The name of its relation in the engine.
      settings: What the configuration says.
      files: Absolute paths or fsspec URLs, in order.
    """

    where: str
    split: str
    view: str
    settings: EdgeSource
    files: tuple[str, ...]


def find_sources(raw: RawEdges, root: str) -> tuple[RawSource, ...]:
    """Finds the files of all sources.

    Args:
      raw: The configuration.
      root: `data.root`.

    Raises:
      DataError: A path matches no file, or a file is empty or unreadable.
    """
    sources = []
    for split in SPLITS:
        for position, settings in enumerate(getattr(raw, split)):
            where = f"data.raw.{split}[{position}]"
            files: list[str] = []
            for index, path in enumerate(settings.paths):
                found = find_files(paths.join(root, path), f"{where}.paths[{index}]")
                files.extend(file for file in found if file not in files)
            sources.append(
                RawSource(
                    where=where,
                    split=split,
                    view=f"source_{split}_{position}",
                    settings=settings,
                    files=tuple(files),
                )
            )
    return tuple(sources)


def digest_inputs(
    sources: tuple[RawSource, ...],
    root: str,
    progress: Callable[[float], None] = lambda fraction: None,
) -> tuple[InputFile, ...]:
    """Sizes and digests every file once, in the order of the sources.

    Args:
      sources: The sources.
      root: `data.root`.
      progress: Told the share of the files that is done, after each.

    Raises:
      DataError: A file cannot be read.
    """
    files = dict.fromkeys(file for source in sources for file in source.files)
    digested = []
    with futures.ThreadPoolExecutor(max_workers=2) as pool:
        for file in pool.map(lambda file: _digest(file, root), files):
            digested.append(file)
            progress(len(digested) / len(files))
    return tuple(digested)


def is_url(path: str) -> bool:
    """Returns whether a path is an fsspec URL."""
    return "://" in path


def find_files(path: str, where: str) -> list[str]:
    """Finds the files that a path names.

    Args:
      path: A file, a folder, a glob, or an fsspec URL.
      where: The path of the field in the configuration, for errors.

    Returns:
      Paths or URLs in the order of their names; files of a folder that begin with
      a dot or an underscore are left out.

    Raises:
      DataError: There is no such file, or one is empty or unreadable.
    """
    if is_url(path):
        return _find_url(path, where)
    if os.path.isdir(path):
        found = sorted(
            os.path.join(path, name)
            for name in os.listdir(path)
            if not name.startswith((".", "_"))
            and os.path.isfile(os.path.join(path, name))
        )
    else:
        found = [path] if os.path.exists(path) else sorted(glob.glob(path))
    if not found:
        raise DataError(f"{where}: no file matches {path!r}; allowed: existing files")
    for file in found:
        try:
            with open(file, "rb") as stream:
                is_empty = not stream.read(1)
        except OSError as error:
            raise DataError(
                f"{file}: cannot be read ({error.strerror}); allowed: readable files"
            ) from error
        if is_empty:
            raise DataError(f"{file}: empty file; allowed: files with edges")
    return found


def _find_url(path: str, where: str) -> list[str]:
    try:
        filesystem, inner = fsspec.core.url_to_fs(path)
        names = filesystem.glob(inner) if glob.has_magic(inner) else [inner]
        found = [
            filesystem.unstrip_protocol(name)
            for name in sorted(names)
            if filesystem.exists(name)
        ]
    except (ImportError, ValueError, OSError) as error:
        raise DataError(
            f"{where}: {path!r} cannot be read ({error}); allowed: readable files"
        ) from error
    if not found:
        raise DataError(f"{where}: no file matches {path!r}; allowed: existing files")
    return found


def _digest(file: str, root: str) -> InputFile:
    if is_url(file):
        filesystem, inner = fsspec.core.url_to_fs(file)
        return InputFile(
            path=file,
            size_bytes=int(filesystem.size(inner)),
            digest=str(filesystem.checksum(inner)),
        )
    digest = hashlib.blake2b(digest_size=16)
    try:
        with open(file, "rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
            size_bytes = stream.tell()
    except OSError as error:
        raise DataError(
            f"{file}: cannot be read ({error.strerror}); allowed: readable files"
        ) from error
    below = os.path.relpath(file, root) if not is_url(root) else file
    return InputFile(
        path=file if below.startswith("..") else below,
        size_bytes=size_bytes,
        digest=digest.hexdigest(),
    )
