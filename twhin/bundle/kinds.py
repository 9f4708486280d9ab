# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The choices that a manifest names, as Python has them."""

from enum import StrEnum
from typing import Any, TypeVar

from twhin.errors import BundleError


class IndexKind(StrEnum):
    """`twhin.v1.IndexKind`."""

    EXACT_FP16 = "exact_fp16"
    IVF_FP16 = "ivf_fp16"
    IVF_PQ = "ivf_pq"


Kind = TypeVar("Kind", bound=StrEnum)


def from_proto(kinds: type[Kind], names: Any, number: int, where: str) -> Kind:
    """Returns the choice that a message holds.

    Args:
      kinds: The choices.
      names: The enum of the message, `graph_pb2.Operator`.
      number: The value of the field.
      where: The path of the field, for errors.

    Raises:
      BundleError: The field is unset, or has a value of a later version.
    """
    prefix = len(names.Name(0)) - len("UNSPECIFIED")
    try:
        return kinds(names.Name(number)[prefix:].lower())
    except ValueError as err:
        allowed = ", ".join(kinds)
        raise BundleError(f"{where}: is {number}; allowed: {allowed}") from err


def to_proto(kind: StrEnum, names: Any) -> Any:
    """Returns the value of a choice in the enum `names` of a message."""
    prefix = names.Name(0).removesuffix("UNSPECIFIED")
    return names.Value(prefix + kind.upper())
