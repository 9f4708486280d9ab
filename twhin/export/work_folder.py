# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What the ranks of an export tell each other, in files of a shared folder."""

import shutil
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from google.protobuf.message import Message

from twhin.bundle.id_hash import Int64Array

AnyMessage = TypeVar("AnyMessage", bound=Message)


class WorkFolder:
    """A folder that is removed before the version is complete.

    A rank reads what another has written after a barrier.
    """

    def __init__(self, version: Path) -> None:
        """Names the folder below that of the version; does not create it."""
        self._folder = version / "work"

    def create(self) -> None:
        """Creates the folder."""
        self._folder.mkdir()

    def remove(self) -> None:
        """Removes the folder."""
        shutil.rmtree(self._folder)

    def put(self, name: str, message: Message) -> None:
        """Stores a message."""
        (self._folder / name).write_bytes(message.SerializeToString())

    def get(self, name: str, kind: type[AnyMessage]) -> AnyMessage:
        """Returns a message that a rank stored."""
        message = kind()
        message.ParseFromString((self._folder / name).read_bytes())
        return message

    def put_order(self, name: str, order: Int64Array) -> None:
        """Stores an array."""
        order.tofile(self._folder / name)

    def put_numbers(self, name: str, numbers: npt.NDArray[np.float64]) -> None:
        """Stores a vector."""
        numbers.tofile(self._folder / name)

    def get_numbers(self, name: str) -> npt.NDArray[np.float64]:
        """Returns a vector that a rank stored."""
        return np.fromfile(self._folder / name, np.float64)

    def get_order(self, name: str) -> Int64Array:
        """Returns an array that a rank stored, mapped."""
        path = self._folder / name
        if not path.stat().st_size:
            return np.empty(0, np.int64)
        return np.memmap(path, np.int64, mode="r")
