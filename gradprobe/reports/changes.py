"""What differs between two tables of results, and whether seeds alone make such differences.

The quantities that are compared are those of `gradprobe.gate`, and so are the tolerance below which
two values are equal, the direction in which a quantity gets worse, and the permutation test over
all quantities together (`gradprobe.gate.permutation`).
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradprobe.gate.directions import Worse, differ
from gradprobe.gate.findings import Verdict
from gradprobe.gate.metric import Metric, median
from gradprobe.gate.paired import Paired
from gradprobe.gate.permutation import probabilities
from gradprobe.gate.reduction import metrics

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from gradprobe.gate.metric import Name

LEVEL = 0.05
"""Probability of one false “beyond the noise” or more among all quantities of a comparison."""


class Noise(enum.StrEnum):
    """How a difference stands to what other seeds would have made of the same thing."""

    BEYOND = "beyond the noise"
    APART = "ranges apart"
    WITHIN = "within the noise"
    ONE_SEED = "noise not known"
    EQUAL = "unchanged"
    NOT_JUDGED = "not judged"


class Direction(enum.StrEnum):
    """Whether a difference is for the worse."""

    WORSE = "worse"
    BETTER = "better"
    NEITHER = "other"


class Spread(NamedTuple):
    """Median, smallest and largest value over seeds, and how many seeds; NaN if there are none."""

    median: float
    low: float
    high: float
    seeds: int


@dataclass(frozen=True)
class Change:
    """A quantity on both sides.

    Attributes
    ----------
    name
        What tells it from every other.
    noise, direction
        How the difference is judged.
    before, after
        Over the seeds at which it is resolved.
    difference
        After less before: seed by seed over the seeds that both have, if there are any
        (``difference.seeds`` of them); else the difference of the medians, and ``seeds`` is 0.
    chance
        Probability that chance makes as great a difference in any of the quantities compared; NaN
        where it was not tested.
    reason
        Why it was not judged; empty if it was.
    """

    name: Name
    noise: Noise
    direction: Direction
    before: Spread
    after: Spread
    difference: Spread
    chance: float
    reason: str = ""

    @property
    def size(self) -> float:
        """The difference's size, relative to values beyond one: what changes are ranked by."""
        if math.isnan(self.difference.median):
            return 0.0
        if math.isinf(self.difference.median):
            return math.inf
        return abs(self.difference.median) / max(1.0, abs(self.before.median))

    @property
    def matters(self) -> bool:
        """Whether the difference is beyond the noise, or as far as few seeds can tell."""
        return self.noise in {Noise.BEYOND, Noise.APART}


class Changes(NamedTuple):
    """All that was compared: the changes, and the names that only one of the sides has."""

    found: list[Change]
    only_before: list[Name]
    only_after: list[Name]


def changes(before: pd.DataFrame, after: pd.DataFrame) -> Changes:
    """Compare two tables, quantity by quantity.

    A quantity whose values are equal at every common seed, up to the tolerance, is unchanged.
    Otherwise the values of both sides, over all their seeds, are put to a permutation test: the
    difference is beyond the noise if chance makes as great a one in any quantity with a probability
    of at most `LEVEL`.  Where the seeds are so few that no difference could be (3 a side give
    p = 0.1 at best), only whether the ranges over seeds overlap is told.  That the seeds are
    common on both sides is not used by the test; it makes it cautious.

    Parameters
    ----------
    before, after
        Tables of `gradprobe.frame`.

    Examples
    --------
    >>> from gradprobe import frame
    >>> def losses(shift):
    ...     return frame.rows(probe="training", quantity="test_loss", iteration=1, seed=range(5),
    ...                       value=[shift + 0.01 * seed for seed in range(5)])
    >>> change = changes(losses(1.0), losses(2.0)).found[1]
    >>> print(change.noise, change.direction, round(change.difference.median, 9))
    beyond the noise worse 1.0
    """
    old = {metric.name: metric for metric in metrics(before)}
    new = {metric.name: metric for metric in metrics(after)}
    both = [(old[name], new[name]) for name in old if name in new]
    chances = _chances(both)
    return Changes(
        [_change(*pair, chances.get(pair[0].name, math.nan)) for pair in both],
        [name for name in old if name not in new],
        [name for name in new if name not in old],
    )


def smallest_chance(before: int, after: int) -> float:
    """Return the smallest probability that the test can give to so many seeds a side.

    Examples
    --------
    >>> smallest_chance(3, 3), round(smallest_chance(5, 5), 4)
    (0.1, 0.0079)
    """
    return (2 if before == after else 1) / math.comb(before + after, before)


def _chances(pairs: Sequence[tuple[Metric, Metric]]) -> Mapping[Name, float]:
    able = [pair for pair in pairs if _testable(*pair)]
    if not able:
        return {}
    old = sorted({seed for metric, _ in able for seed in metric.resolved})
    new = sorted({seed for _, metric in able for seed in metric.resolved})
    values = [
        [metric.resolved.get(seed, math.nan) for seed in old]
        + [other.resolved.get(seed, math.nan) for seed in new]
        for metric, other in able
    ]
    side = np.repeat([False, True], [len(old), len(new)])
    found = probabilities(np.array(values, dtype=float), side)
    return {pair[0].name: float(chance) for pair, chance in zip(able, found, strict=True)}


def _testable(before: Metric, after: Metric) -> bool:
    counts = len(before.resolved), len(after.resolved)
    return min(counts) > 1 and smallest_chance(*counts) <= LEVEL and not _equal(before, after)


def _equal(before: Metric, after: Metric) -> bool:
    """Return whether values agree up to the tolerance: at common seeds, else in their medians."""
    common = sorted(set(before.resolved) & set(after.resolved))
    if not common:
        one, other = before.median, after.median
        return one is not None and other is not None and not differ(one, other, before.tolerance)
    pair = _at(before, common), _at(after, common)
    return Paired().judge([pair])[0].verdict is Verdict.UNCHANGED


def _at(metric: Metric, seeds: Sequence[int]) -> Metric:
    values: dict[int, float | None] = {seed: metric.resolved[seed] for seed in seeds}
    return Metric.of(metric.name, values, metric.worse, metric.tolerance)


def _change(before: Metric, after: Metric, chance: float) -> Change:
    one, other = _spread(before.resolved.values()), _spread(after.resolved.values())
    noise = _noise(before, after, chance)
    return Change(
        name=before.name,
        noise=noise,
        direction=_direction(before.worse, one.median, other.median, before.tolerance),
        before=one,
        after=other,
        difference=_difference(before, after),
        chance=chance,
        reason=_reason(before, after) if noise is Noise.NOT_JUDGED else "",
    )


def _noise(before: Metric, after: Metric, chance: float) -> Noise:
    old, new = before.resolved.values(), after.resolved.values()
    if not old or not new:
        return Noise.NOT_JUDGED
    if _equal(before, after):
        return Noise.EQUAL
    if not math.isnan(chance):
        return Noise.BEYOND if chance <= LEVEL else Noise.WITHIN
    if min(len(old), len(new)) == 1:
        return Noise.ONE_SEED
    return Noise.APART if max(old) < min(new) or max(new) < min(old) else Noise.WITHIN


def _reason(before: Metric, after: Metric) -> str:
    if not before.resolved and not after.resolved:
        return "not resolved on either side"
    return "not resolved before" if not before.resolved else "not resolved after"


def _direction(worse: Worse, before: float, after: float, tolerance: float) -> Direction:
    if worse is Worse.NEITHER or math.isnan(before) or math.isnan(after):
        return Direction.NEITHER
    bad = worse.badness(before), worse.badness(after)
    if not differ(*bad, tolerance):
        return Direction.NEITHER
    return Direction.WORSE if bad[1] > bad[0] else Direction.BETTER


def _difference(before: Metric, after: Metric) -> Spread:
    common = sorted(set(before.resolved) & set(after.resolved))
    if common:
        return _spread([_less(after.resolved[seed], before.resolved[seed]) for seed in common])
    if before.median is None or after.median is None:
        return Spread(math.nan, math.nan, math.nan, 0)
    whole = _less(after.median, before.median)
    return Spread(whole, whole, whole, 0)


def _less(after: float, before: float) -> float:
    """Return the difference, which is 0 between equal infinities."""
    return 0.0 if after == before else after - before


def _spread(values: Iterable[float]) -> Spread:
    numbers = list(values)
    if not numbers:
        return Spread(math.nan, math.nan, math.nan, 0)
    middle = median(numbers)
    return Spread(math.nan if middle is None else middle, min(numbers), max(numbers), len(numbers))
