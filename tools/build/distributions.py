# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Which distribution of //third_party/python an imported module comes from."""

# Where several prefixes match, all of them are needed.
DISTRIBUTIONS = {
    "absl": "absl-py",
    "duckdb": "duckdb",
    "faiss": "faiss-cpu",
    "fbgemm_gpu": "fbgemm-gpu",
    "fsspec": "fsspec",
    "google.protobuf": "protobuf",
    "grpc": "grpcio",
    "grpc_health": "grpcio-health-checking",
    "grpc_reflection": "grpcio-reflection",
    "grpc_tools": "grpcio-tools",
    "hypothesis": "hypothesis",
    "llvmlite": "llvmlite",
    "mypy": "mypy",
    "numba": "numba",
    "numpy": "numpy",
    "opentelemetry": "opentelemetry-api",
    "opentelemetry.exporter": "opentelemetry-exporter-otlp-proto-grpc",
    "opentelemetry.proto": "opentelemetry-proto",
    "opentelemetry.sdk": "opentelemetry-sdk",
    "optuna": "optuna",
    "prometheus_client": "prometheus-client",
    "py4j": "py4j",
    "pyarrow": "pyarrow",
    "pyspark": "pyspark",
    "pytest": "pytest",
    "safetensors": "safetensors",
    "tensorboard": "tensorboard",
    "torch": "torch",
    "torch.utils.tensorboard": "tensorboard",
    "torchrec": "torchrec",
    "tqdm": "tqdm",
    "yaml": "pyyaml",
}
