# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Writes the generated protobuf modules into the work tree, for editors.

Bazel generates its own; these, in twhin/v1, are ignored by git.
"""

import sys
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

_ROOT = Path(__file__).resolve().parents[2]
_SERVICE_SUFFIX = "_service.proto"


def main() -> int:
    """Runs protoc; returns its exit code."""
    protos = sorted((_ROOT / "proto").rglob("*.proto"))
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    common = ["protoc", f"-I{_ROOT / 'proto'}", f"-I{well_known}"]
    arguments = [*common, f"--python_out={_ROOT}", f"--pyi_out={_ROOT}"]
    code = protoc.main([*arguments, *map(str, protos)])
    services = [str(path) for path in protos if path.name.endswith(_SERVICE_SUFFIX)]
    if code == 0 and services:
        code = protoc.main([*common, f"--grpc_python_out={_ROOT}", *services])
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
