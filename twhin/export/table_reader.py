# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What an export reads the trained model from."""

from typing import Protocol

from torch import Tensor

from twhin.graph.schema import GraphSchema


class TableReader(Protocol):
    """A trained model; `CheckpointReader` is one."""

    @property
    def schema(self) -> GraphSchema:
        """Entity types and relations."""
        ...

    @property
    def config_digest(self) -> str:
        """The SHA-256 of the resolved configuration, in hexadecimal."""
        ...

    @property
    def step(self) -> int:
        """The number of updates so far."""
        ...

    def read_rows(self, entity_type: str, start: int, stop: int) -> Tensor:
        """Returns rows of a table, [stop - start, D] float32 or float16."""
        ...

    def relation_parameters(self) -> dict[str, Tensor]:
        """Returns `RelationModel.parameters_by_name`, [R, P] float32 each."""
        ...
