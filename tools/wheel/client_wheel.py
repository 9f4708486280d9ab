# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Writes the wheel of the client.

    ./bazelw build //tools/wheel:twhin_client

makes bazel-bin/tools/wheel/twhin_client-VERSION-py3-none-any.whl;

    python tools/wheel/client_wheel.py FOLDER

writes it into a folder and prints its path. It holds
twhin.client and what that imports of this project, and needs grpcio, numpy and
protobuf; numba too for lookups twice as fast, faiss-cpu for retrieval, both from a
bundle in the process, and torch for
twhin.client.torch_lookup. The same sources give the same bytes.

Reference: https://packaging.python.org/specifications/binary-distribution-format
"""

import ast
import base64
import hashlib
import importlib.util
import re
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

# build: needs //twhin:allocator
# build: needs //twhin/client:async_source
# build: needs //twhin/client:open_source
# build: needs //twhin/client:torch_lookup

VERSION = "0.1.0"
_ROOTS = (
    "twhin.allocator",
    "twhin.client.async_source",
    "twhin.client.open_source",
    "twhin.client.torch_lookup",
)
_DIST_INFO = f"twhin_client-{VERSION}.dist-info"
_METADATA = """\
Metadata-Version: 2.1
Name: twhin-client
Version: {version}
Summary: Trained TwHIN vectors, from a server over gRPC or from memory-mapped files
License: Apache-2.0
Requires-Python: >=3.11
Requires-Dist: grpcio>=1.60
Requires-Dist: numpy>=1.26
Requires-Dist: protobuf>={protobuf},<{next_protobuf}
Provides-Extra: fast
Requires-Dist: numba>=0.60; extra == "fast"
Provides-Extra: retrieval
Requires-Dist: faiss-cpu>=1.8; extra == "retrieval"
Provides-Extra: torch
Requires-Dist: torch>=2.0; extra == "torch"
"""
_WHEEL = """\
Wheel-Version: 1.0
Generator: twhin
Root-Is-Purelib: true
Tag: py3-none-any
"""
# The earliest time that a zip file can hold.
_TIME = (1980, 1, 1, 0, 0, 0)
# The protobuf that the generated modules ask for, at least.
_RUNTIME = re.compile(
    r"ValidateProtobufRuntimeVersion\(\s*\S+,\s*(\d+),\s*(\d+),\s*(\d+),"
)


def find_modules(roots: Iterable[str]) -> dict[str, Path]:
    """Returns the files of modules and of all modules of twhin that they import."""
    found: dict[str, Path] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found or (path := _source(name)) is None:
            continue
        found[name] = path
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                waiting.append(node.module)
                waiting += [f"{node.module}.{alias.name}" for alias in node.names]
    return dict(sorted(found.items()))


def write_wheel(folder: Path) -> Path:
    """Writes the wheel into a folder and returns its path."""
    modules = find_modules(_ROOTS)
    contents = {
        f"{name.replace('.', '/')}.py": path.read_bytes()
        for name, path in modules.items()
    }
    contents["twhin/client/py.typed"] = b""
    contents[f"{_DIST_INFO}/METADATA"] = _metadata(modules).encode()
    contents[f"{_DIST_INFO}/WHEEL"] = _WHEEL.encode()
    record = f"{_DIST_INFO}/RECORD"
    lines = [_record_line(name, content) for name, content in contents.items()]
    contents[record] = "".join([*lines, f"{record},,\n"]).encode()
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"twhin_client-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return wheel


def _source(name: str) -> Path | None:
    """Returns the file of a module of twhin; None for packages and all others."""
    if not name.startswith("twhin."):
        return None
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None  # A name that a module defines, not a module.
    # Bazel puts an empty __init__.py into every folder of the runfiles.
    if spec is None or spec.submodule_search_locations is not None:
        return None
    return Path(spec.origin) if spec.origin else None


def _metadata(modules: dict[str, Path]) -> str:
    versions = [
        tuple(map(int, match.groups()))
        for name, path in modules.items()
        if name.endswith("_pb2") and (match := _RUNTIME.search(path.read_text()))
    ]
    newest = max(versions)
    return _METADATA.format(
        version=VERSION,
        protobuf=".".join(map(str, newest)),
        next_protobuf=newest[0] + 1,
    )


def _record_line(name: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
    return f"{name},sha256={digest.decode().rstrip('=')},{len(content)}\n"


def main(argv: list[str]) -> int:
    """Writes the wheel."""
    # Not resolved: in Bazel's runfiles the file is a link to the source.
    root = Path(__file__).absolute().parents[2]
    sys.path.insert(0, str(root))
    print(write_wheel(Path(argv[1])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
