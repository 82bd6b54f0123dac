"""How many steps to multiply before each factorisation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

DELICATE = math.log(1e3)
"""A deficit (`graded.log_deficit`) beyond this: the block has cost too many digits."""

LONGEST = 16

SEVERAL = math.log(300.0)
"""The same for a block of several steps: it has a remedy."""

RESERVE = math.log(6.0)
"""How far below `SEVERAL` the deficit that is expected must stay: a block too long costs more."""

LEARNING = 0.1
"""The weight of the latest block in what a step within a block is expected to cost, …"""

WARNED = 0.5
"""… and that of a block that was too ill-conditioned."""

FORGETTING = 0.1
"""By how many nats a step is expected to cost less after each step that was factored alone."""


class Stride:
    """The number of steps per factorisation, led by the condition that each one finds.

    Multiplying several steps before one factorisation loses the digits of the small columns by as
    much as the block of steps is ill-conditioned: silently, unless that is watched. The largest
    deficit of a column tells; beyond `DELICATE`, the block is to be done again in halves.

    Before it is factored, a block's deficit can only be guessed: QR with sorted rows does not mind
    that the rows of the last step's result differ in size, but one more step would mix them. Hence
    a deficit is about as large as the sum of these differences over all results but the last, and
    the blocks before have told by how much each step has come out above or below that.

    Attributes
    ----------
    length
        How many steps at most.

    Examples
    --------
    >>> stride = Stride()
    >>> stride.multiplied(spread=2.0)
    False
    >>> stride.factored(largest_deficit=0.1, passed=True)
    >>> stride.multiplied(spread=2.0), stride.multiplied(spread=9.0)
    (True, False)
    >>> stride.factored(largest_deficit=8.0, passed=False)
    >>> stride.length
    1
    """

    def __init__(self) -> None:
        self.length = 1
        self._steps, self._inner = 0, 0.0
        self._beyond = 0.0

    def multiplied(self, spread: float) -> bool:
        """Return whether to multiply another step, the rows differing by these nats, at most."""
        self._steps += 1
        inner = self._inner + spread
        expected = inner + self._steps * self._beyond
        if self._steps >= self.length or expected > SEVERAL - RESERVE:
            return False
        self._inner = inner
        return True

    def factored(self, largest_deficit: float, *, passed: bool) -> None:
        """Take note of the deficit of the steps since the last factorisation, and if it is low."""
        within = self._steps - 1
        if within > 0:
            deficit = largest_deficit if passed else max(largest_deficit, DELICATE)
            beyond = (min(deficit, 3 * DELICATE) - self._inner) / within
            self._beyond += (LEARNING if passed else WARNED) * (beyond - self._beyond)
        elif self._beyond > 0:
            self._beyond -= FORGETTING
        self.length = min(2 * self.length, LONGEST) if passed else max(1, self._steps // 2)
        self._steps, self._inner = 0, 0.0


def spread(smallest: Sequence[float], largest: Sequence[float]) -> float:
    """Return by how many nats the rows of a matrix differ in size: at most, of several matrices.

    Examples
    --------
    >>> spread([1.0, 0.0], [1.0, 1.0])
    inf
    """
    ratios = (high / low if low else math.inf for low, high in zip(smallest, largest, strict=True))
    return math.log(max(ratios))
