# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Paths of a configuration: local ones and URLs."""

import os


def join(root: str, path: str) -> str:
    """Returns `path` below `root`; a URL or an absolute path stays as it is.

    Args:
      root: A folder or an fsspec URL, like `data.root`.
      path: A path or an fsspec URL, like `data.prepared`.
    """
    if "://" in path:
        return path
    if "://" in root and not os.path.isabs(path):
        return f"{root.rstrip('/')}/{path}"
    return os.path.normpath(os.path.join(root, path))
