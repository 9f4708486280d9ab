# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""protoc, from the distribution grpcio-tools, with its well-known types."""

import sys
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

if __name__ == "__main__":
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    sys.exit(protoc.main([*sys.argv, f"--proto_path={well_known}"]))
