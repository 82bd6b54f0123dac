"""What becomes of a gradient: the words of the report, by criteria that it states."""

from __future__ import annotations

import math
from enum import StrEnum

KEPT = math.log(10)
"""A gain within ± this keeps the gradient to a factor of ten, in either direction."""

LOST = 24 * math.log(2)
"""exp(−LOST) = 2^−24 is half the machine epsilon of single precision: a gradient that is smaller by
this leaves no trace when it is added to one of ordinary size."""


class Verdict(StrEnum):
    """What becomes of a gradient, in the order in which the report tells it."""

    SURVIVES = "survives"
    GROWS = "grows"
    DECAYS = "decays"
    EXPLODES = "explodes"
    VANISHES = "vanishes"
    UNDETERMINED = "is not determined"


def judge(gain: float, *, resolved: bool = True) -> Verdict:
    """Return the verdict on a gain, log(‖∂h_T/∂h_0‖_F / ‖I‖_F).

    Examples
    --------
    >>> [str(judge(gain)) for gain in (-0.7, 5.0, -5.0, 40.0, float("-inf"), float("nan"))]
    ['survives', 'grows', 'decays', 'explodes', 'vanishes', 'is not determined']
    """
    if math.isnan(gain) or not resolved:
        return Verdict.UNDETERMINED
    if abs(gain) <= KEPT:
        return Verdict.SURVIVES
    if gain > 0:
        return Verdict.EXPLODES if gain > LOST else Verdict.GROWS
    return Verdict.VANISHES if gain < -LOST else Verdict.DECAYS
