"""Different seeds: whether a difference is more than what seeds make by themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gradprobe.gate.directions import Worse, differ
from gradprobe.gate.findings import Finding, Verdict
from gradprobe.gate.metric import Metric, median
from gradprobe.gate.paired import unresolved
from gradprobe.gate.permutation import probabilities
from gradprobe.gate.words import number, signed

LEVEL = 0.001
"""Probability of a false alarm anywhere among all metrics of a comparison."""
FEWEST = 10
"""Seeds that each side must have."""


@dataclass(frozen=True)
class BetweenSeeds:
    """Compares the approved seeds' values with other seeds' values, all metrics together.

    See `gradprobe.gate.permutation` for the test: the probability of one false alarm or more among
    all metrics together is at most `LEVEL`.

    Examples
    --------
    >>> from gradprobe.gate.example import metric
    >>> before = metric({seed: -1.0 - 0.01 * seed for seed in range(10)})
    >>> after = metric({100 + seed: -9.0 - 0.01 * seed for seed in range(10)})
    >>> BetweenSeeds().judge([(before, after)])[0].verdict
    <Verdict.REGRESSION: 'regression'>
    """

    sentence: str = (
        "Other seeds than the approved ones: a difference counts if it exceeds the tolerance and "
        "the noise between seeds; a false alarm among all metrics together has a probability of at "
        f"most {LEVEL}."
    )

    def judge(self, pairs: list[tuple[Metric, Metric]]) -> list[Finding]:
        """Return a finding for each approved metric and what was measured of it.

        Parameters
        ----------
        pairs
            Approved and measured metrics, at seeds of which none is common.
        """
        able = [
            pair for pair in pairs if min(len(pair[0].resolved), len(pair[1].resolved)) >= FEWEST
        ]
        chances = iter(_probabilities(able))
        return [
            _judged(approved, measured, next(chances))
            if min(len(approved.resolved), len(measured.resolved)) >= FEWEST
            else _too_few(approved, measured)
            for approved, measured in pairs
        ]


def _probabilities(pairs: list[tuple[Metric, Metric]]) -> list[float]:
    """Return, for each pair, how often chance makes as great a difference in any of them."""
    if not pairs:
        return []
    old = sorted({seed for approved, _ in pairs for seed in approved.values})
    new = sorted({seed for _, measured in pairs for seed in measured.values})
    values = np.array([_badness(*pair, old, new) for pair in pairs])
    measured = np.repeat([False, True], [len(old), len(new)])
    return [float(chance) for chance in probabilities(values, measured)]


def _badness(approved: Metric, measured: Metric, old: list[int], new: list[int]) -> list[float]:
    """Return how bad each seed's value is; unresolved ones are NaN."""
    values = [approved.resolved.get(seed) for seed in old]
    values += [measured.resolved.get(seed) for seed in new]
    return [math.nan if value is None else approved.worse.badness(value) for value in values]


def _judged(approved: Metric, measured: Metric, probability: float) -> Finding:
    before, now = approved.median, measured.median
    if before is None or now is None:
        raise AssertionError("metrics are judged only if they have resolved values")
    verdict = Verdict.UNCHANGED
    bad = [_typical(approved.worse, metric) for metric in (approved, measured)]
    if probability <= LEVEL and differ(bad[0], bad[1], approved.tolerance):
        verdict = _direction(approved.worse, bad[0], bad[1])
    more = signed(bad[1] - bad[0]) if math.isfinite(bad[1] - bad[0]) else "beyond all bounds"
    message = (
        f"median {number(before)} → {number(now)} ({more} in the direction that is worse, "
        f"{approved.worse}); p = {probability:.2g} over all metrics"
    )
    return Finding(approved, verdict, before, now, message, probability=probability)


def _typical(worse: Worse, metric: Metric) -> float:
    found = median([worse.badness(value) for value in metric.resolved.values()])
    return 0.0 if found is None else found


def _direction(worse: Worse, before: float, now: float) -> Verdict:
    if worse is Worse.NEITHER:
        return Verdict.CHANGED
    return Verdict.REGRESSION if now > before else Verdict.IMPROVED


def _too_few(approved: Metric, measured: Metric) -> Finding:
    if not approved.resolved or not measured.resolved:
        return unresolved(approved, measured)
    counts = len(approved.resolved), len(measured.resolved)
    message = (
        f"has resolved values at {counts[0]} approved and {counts[1]} measured seeds; "
        f"noise can be told at {FEWEST} or more on each side"
    )
    medians = approved.median, measured.median
    return Finding(approved, Verdict.NOT_COMPARABLE, *medians, message)
