# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Entity ids of requests and answers: messages to arrays and back."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from twhin.serving.refusal_error import invalid
from twhin.v1 import embedding_service_pb2 as pb

Ids: TypeAlias = npt.NDArray[np.int64] | Sequence[str]


def read_ids(message: pb.EntityIds, *, is_string: bool, field: str, limit: int) -> Ids:
    """Returns the ids of a request.

    Args:
      message: The ids.
      is_string: Whether the entity type has string ids.
      field: The path of the message in the request, for errors.
      limit: The largest number of ids.

    Raises:
      RefusalError: INVALID_ARGUMENT: ids of the other type, or too many.
    """
    wanted, other = message.int_ids, message.string_ids
    if is_string:
        wanted, other = message.string_ids, message.int_ids  # type: ignore[assignment]
    if len(other):
        kind = "string_ids" if is_string else "int_ids"
        raise invalid(f"{field}: has ids of the wrong type; allowed: {kind}")
    if len(wanted) > limit:
        raise invalid(f"{field}: has {len(wanted)} ids; allowed: at most {limit}")
    if is_string:
        return message.string_ids
    return np.array(message.int_ids, dtype=np.uint64).view(np.int64)


def write_ids(ids: npt.NDArray[Any], *, is_string: bool) -> pb.EntityIds:
    """Returns the message of ids that a bundle gave."""
    if is_string:
        return pb.EntityIds(string_ids=ids.tolist())
    return pb.EntityIds(int_ids=ids.astype(np.int64).view(np.uint64))
