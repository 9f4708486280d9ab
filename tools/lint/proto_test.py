# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks the style of .proto files: comments everywhere, names, zero values."""

import re
from collections.abc import Iterator
from pathlib import Path

import grpc_tools
import pytest
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

from tools.lint import workspace

_LOWER_SNAKE = re.compile("[a-z][a-z0-9]*(_[a-z0-9]+)*")
_CAMEL = re.compile("([A-Z][a-z0-9]*)+")


@pytest.fixture(scope="module", name="files")
def _files(
    tmp_path_factory: pytest.TempPathFactory,
) -> list[descriptor_pb2.FileDescriptorProto]:
    root = workspace.root() / "proto"
    target = tmp_path_factory.mktemp("protos") / "descriptors.bin"
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    protos = [str(path) for path in sorted(root.rglob("*.proto"))]
    arguments = [f"-I{root}", f"-I{well_known}", "--include_source_info"]
    code = protoc.main(
        ["protoc", *arguments, f"--descriptor_set_out={target}", *protos]
    )
    assert code == 0
    files = descriptor_pb2.FileDescriptorSet.FromString(target.read_bytes()).file
    assert len(files) == len(protos)
    return list(files)


def _elements(
    file: descriptor_pb2.FileDescriptorProto,
) -> Iterator[tuple[tuple[int, ...], str]]:
    """Yields the path and the name of whatever must have a comment."""
    for m, message in enumerate(file.message_type):
        yield (4, m), message.name
        for f, field in enumerate(message.field):
            yield (4, m, 2, f), f"{message.name}.{field.name}"
    for e, enum in enumerate(file.enum_type):
        yield (5, e), enum.name
        for v, value in enumerate(enum.value):
            yield (5, e, 2, v), value.name
    for s, service in enumerate(file.service):
        yield (6, s), service.name
        for m, method in enumerate(service.method):
            yield (6, s, 2, m), f"{service.name}.{method.name}"


def test_everything_is_commented(
    files: list[descriptor_pb2.FileDescriptorProto],
) -> None:
    faults = []
    for file in files:
        comments = {
            tuple(place.path): place.leading_comments.strip()
            for place in file.source_code_info.location
        }
        for path, name in _elements(file):
            comment = comments.get(path, "")
            if not comment.endswith((".", "):", ").")):
                faults.append(
                    f"{file.name}: {name}: no comment that ends in a full stop"
                )
    assert not faults, "\n".join(faults)


def test_names_follow_the_style(
    files: list[descriptor_pb2.FileDescriptorProto],
) -> None:
    faults = []
    for file in files:
        for message in file.message_type:
            if not _CAMEL.fullmatch(message.name):
                faults.append(f"{file.name}: {message.name}: not CamelCase")
            for field in message.field:
                if not _LOWER_SNAKE.fullmatch(field.name):
                    faults.append(f"{file.name}: {field.name}: not lower_snake_case")
        for enum in file.enum_type:
            prefix = re.sub("(?<!^)([A-Z])", r"_\1", enum.name).upper()
            if enum.value[0].name != f"{prefix}_UNSPECIFIED" or enum.value[0].number:
                faults.append(
                    f"{file.name}: {enum.name}: 0 is not {prefix}_UNSPECIFIED"
                )
            for value in enum.value:
                if not value.name.startswith(f"{prefix}_"):
                    faults.append(f"{file.name}: {value.name}: not {prefix}_...")
    assert not faults, "\n".join(faults)


def test_package_is_the_folder(files: list[descriptor_pb2.FileDescriptorProto]) -> None:
    for file in files:
        assert file.package == str(Path(file.name).parent).replace("/", ".")
        assert file.syntax == "proto3"
