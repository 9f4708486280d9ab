# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The two sides of an edge."""

from enum import StrEnum


class Side(StrEnum):
    """The side that candidates stand on; the other side's entity is known."""

    LHS = "lhs"
    RHS = "rhs"
