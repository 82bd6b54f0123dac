"""How many steps to multiply before each factorisation."""

from __future__ import annotations

from gradprobe.linalg.graded import DELICATE

LONGEST = 16

CALM = 50
"""After a stride that was too long, this many factorisations must pass before a longer one."""

RESERVE = 10.0
"""A stride is doubled if twice the loss of digits would still stay this factor above `DELICATE`."""


class Stride:
    """The number of steps per factorisation, led by the condition that each one finds.

    Multiplying several steps before one factorisation loses the digits of the small columns by as
    much as the block of steps is ill-conditioned: silently, unless that is watched. The smallest
    relative diagonal entry of the triangular factor (`graded.UpperFactor`) tells; where it falls
    below `graded.DELICATE`, the block is to be done again in halves.

    Examples
    --------
    >>> stride = Stride()
    >>> stride.passed(weakest=0.9)
    >>> stride.length
    2
    >>> stride.failed()
    >>> stride.passed(weakest=0.9)
    >>> stride.length
    1
    """

    def __init__(self) -> None:
        self.length = 1
        self._calm = CALM

    def passed(self, weakest: float) -> None:
        """Take note of a factorisation whose smallest relative diagonal entry was `weakest`."""
        self._calm += 1
        if self._calm >= CALM and weakest**2 > RESERVE * DELICATE:
            self.length = min(2 * self.length, LONGEST)

    def failed(self) -> None:
        """Take note of a block that was too ill-conditioned."""
        self._calm = 0
        self.length = max(1, self.length // 2)
