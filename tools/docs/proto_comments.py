# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The comments of .proto files, which generated Python modules do not carry."""

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc_tools
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from grpc_tools import protoc

PROTO_ROOT = Path(__file__).resolve().parents[2] / "proto"

_NEED = re.compile(r"(Required|Optional)(?:; default:? (.*?))?\.(?: |$)(.*)")
_INTERVAL = re.compile(r"\b[Ii]n ([\[(][-.0-9]+, (?:[-.0-9]+|inf)[\])])")
_AT_LEAST = re.compile(r"\b[Aa]t least ([0-9]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnumValue:
    """A value of an enum.

    Attributes:
      name: In short, as YAML has it: "softmax" for LOSS_KIND_SOFTMAX.
      comment: The comment as one paragraph.
    """

    name: str
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnumComments:
    """An enum; the value that stands for the default is left out."""

    name: str
    comment: str
    values: tuple[EnumValue, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldComments:
    """A field of a message.

    Attributes:
      name: As YAML has it.
      type_name: "int32", "string" and so on, or the name of a message or enum.
      is_repeated: Whether the field is a list.
      oneof: The name of the oneof that it is a member of, or None.
      comment: The whole comment as one paragraph.
    """

    name: str
    type_name: str
    is_repeated: bool
    oneof: str | None
    comment: str

    @property
    def is_required(self) -> bool:
        """Whether the comment begins with "Required."."""
        return self.comment.startswith("Required.")

    @property
    def default(self) -> str | None:
        """What the comment calls the default; None where it names none."""
        match = _NEED.fullmatch(self.comment)
        return match[2] if match else None

    @property
    def meaning(self) -> str:
        """The comment behind "Required." or "Optional; default X."."""
        match = _NEED.fullmatch(self.comment)
        return match[3] if match else self.comment

    @property
    def interval(self) -> str | None:
        """The range that the comment states first, like "[0, 1)"; None without."""
        found = [
            (match.start(), text)
            for pattern, form in ((_INTERVAL, "{}"), (_AT_LEAST, "[{}, inf)"))
            for match in pattern.finditer(self.comment)
            for text in [form.format(match[1])]
        ]
        return min(found)[1] if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageComments:
    """A message and its fields, in the order of the file."""

    name: str
    comment: str
    fields: tuple[FieldComments, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtoComments:
    """The messages and enums of some files, by name, in their order."""

    messages: Mapping[str, MessageComments]
    enums: Mapping[str, EnumComments]


def read_comments(files: Sequence[str], root: Path = PROTO_ROOT) -> ProtoComments:
    """Reads the comments of .proto files.

    Args:
      files: Paths below `root`, like "twhin/v1/graph.proto".
      root: The folder that imports start from.

    Raises:
      ValueError: protoc refused a file; it has said why on stderr.
    """
    messages: dict[str, MessageComments] = {}
    enums: dict[str, EnumComments] = {}
    for file in _parse(files, root):
        comments = {
            tuple(place.path): " ".join(place.leading_comments.split())
            for place in file.source_code_info.location
        }
        for m, message in enumerate(file.message_type):
            fields = tuple(
                _field(message, field, comments[4, m, 2, f])
                for f, field in enumerate(message.field)
            )
            messages[message.name] = MessageComments(
                name=message.name, comment=comments[4, m], fields=fields
            )
        for e, enum in enumerate(file.enum_type):
            prefix = enum.value[0].name.removesuffix("UNSPECIFIED")
            values = tuple(
                EnumValue(
                    name=value.name.removeprefix(prefix).lower(),
                    comment=comments[5, e, 2, v],
                )
                for v, value in enumerate(enum.value)
                if value.number != 0
            )
            enums[enum.name] = EnumComments(
                name=enum.name, comment=comments[5, e], values=values
            )
    return ProtoComments(messages=messages, enums=enums)


def _parse(
    files: Sequence[str], root: Path
) -> Sequence[descriptor_pb2.FileDescriptorProto]:
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "descriptors.bin"
        arguments = [f"-I{root}", f"-I{well_known}", "--include_source_info"]
        paths = [str(root / file) for file in files]
        code = protoc.main(
            ["protoc", *arguments, f"--descriptor_set_out={target}", *paths]
        )
        if code != 0:
            raise ValueError(f"{files}: protoc ended with code {code}")
        return descriptor_pb2.FileDescriptorSet.FromString(target.read_bytes()).file


def _field(
    message: descriptor_pb2.DescriptorProto, field: FieldDescriptorProto, comment: str
) -> FieldComments:
    type_name = field.type_name.split(".")[-1]
    if not type_name:
        type_name = FieldDescriptorProto.Type.Name(field.type)
        type_name = type_name.removeprefix("TYPE_").lower()
    oneof = None
    if field.HasField("oneof_index") and not field.proto3_optional:
        oneof = message.oneof_decl[field.oneof_index].name
    return FieldComments(
        name=field.name,
        type_name=type_name,
        is_repeated=field.label == FieldDescriptorProto.LABEL_REPEATED,
        oneof=oneof,
        comment=comment,
    )
