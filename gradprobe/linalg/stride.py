"""How many steps to multiply before each factorisation."""

from __future__ import annotations

import math

DELICATE = math.log(1e3)
"""A deficit (`graded.log_deficit`) beyond this: the block has cost too many digits."""

LONGEST = 16

CALM = 50
"""After a stride that was too long, this many factorisations must pass before a longer one."""

RESERVE = math.log(10.0)
"""A stride is doubled if twice the deficit would still stay this far below `DELICATE`."""


class Stride:
    """The number of steps per factorisation, led by the condition that each one finds.

    Multiplying several steps before one factorisation loses the digits of the small columns by as
    much as the block of steps is ill-conditioned: silently, unless that is watched. The largest
    deficit of a column tells; beyond `DELICATE`, the block is to be done again in halves.

    Examples
    --------
    >>> stride = Stride()
    >>> stride.passed(largest_deficit=0.1)
    >>> stride.length
    2
    >>> stride.failed()
    >>> stride.passed(largest_deficit=0.1)
    >>> stride.length
    1
    """

    def __init__(self) -> None:
        self.length = 1
        self._calm = CALM

    def passed(self, largest_deficit: float) -> None:
        """Take note of a factorisation with this deficit."""
        self._calm += 1
        if self._calm >= CALM and 2 * largest_deficit + RESERVE < DELICATE:
            self.length = min(2 * self.length, LONGEST)

    def failed(self) -> None:
        """Take note of a block that was too ill-conditioned."""
        self._calm = 0
        self.length = max(1, self.length // 2)
