"""How many steps to multiply before each factorisation."""

from __future__ import annotations

import math

LONGEST = 16

CALM = 20
"""After a stride that was too long, this many factorisations must pass before a longer one."""

RESERVE = math.log(3.0)
"""A stride is doubled if the square of the loss would still stay this far below what is allowed."""

TRUST = 6
"""So many blocks that pass …"""

DISTRUST = 3
"""… and each that does not takes back as many: a stride may fail once in a while."""


class Stride:
    """The number of steps per factorisation, led by the loss that each one finds.

    Multiplying several steps before one factorisation loses the digits of the small columns by as
    much as the block of steps is ill-conditioned: silently, unless that is watched.

    Parameters
    ----------
    allowed
        The logarithm of the largest loss of a block that may be let pass; beyond, it is to be done
        again in halves.

    Examples
    --------
    >>> stride = Stride(allowed=5.0)
    >>> stride.passed(log_loss=0.1)
    >>> stride.length
    2
    >>> stride.failed()
    >>> stride.passed(log_loss=0.1)
    >>> stride.length
    1
    """

    def __init__(self, allowed: float) -> None:
        self.allowed = allowed
        self.length = 1
        self._calm = CALM
        self._trust = 0

    def passed(self, log_loss: float) -> None:
        """Take note of a factorisation with this loss."""
        self._calm += 1
        self._trust = min(self._trust + 1, TRUST)
        if self._calm >= CALM and 2 * log_loss + RESERVE < self.allowed:
            self.length = min(2 * self.length, LONGEST)

    def failed(self) -> None:
        """Take note of a block that was too ill-conditioned."""
        self._trust -= DISTRUST
        if self._trust < 0:
            self._calm = self._trust = 0
            self.length = max(1, self.length // 2)
