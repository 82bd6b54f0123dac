"""The same seeds: each value beside the one that was approved at its seed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradprobe.gate.directions import Worse, differ
from gradprobe.gate.findings import Finding, Verdict
from gradprobe.gate.words import number, signed

if TYPE_CHECKING:
    from gradprobe.gate.metric import Metric


@dataclass(frozen=True)
class Paired:
    """Compares seed by seed.

    The same seeds give the same numbers, but for rounding.  So any seed that is worse by more than
    the tolerance is a regression, whatever the others do.

    Examples
    --------
    >>> from gradprobe.gate.example import metric
    >>> found = Paired().judge([(metric({0: -1.0, 1: -2.0}), metric({0: -1.0, 1: -2.5}))])
    >>> found[0].verdict, found[0].seed
    (<Verdict.REGRESSION: 'regression'>, 1)
    """

    sentence: str = "Seed by seed: the same seeds give the same values, up to the tolerance."

    def judge(self, pairs: list[tuple[Metric, Metric]]) -> list[Finding]:
        """Return a finding for each approved metric and what was measured of it.

        Parameters
        ----------
        pairs
            Approved and measured metrics.
        """
        return [self._one(approved, measured) for approved, measured in pairs]

    def _one(self, approved: Metric, measured: Metric) -> Finding:
        absent = sorted(set(approved.values) - set(measured.values))
        if absent:
            return _finding(
                approved, measured, Verdict.NOT_COMPARABLE, f"was not measured at seed {absent[0]}"
            )
        seeds = sorted(set(approved.resolved) & set(measured.resolved))
        if not seeds:
            return unresolved(approved, measured)
        before, now = approved.resolved, measured.resolved
        moved = [seed for seed in seeds if differ(before[seed], now[seed], approved.tolerance)]
        worst = max(
            moved, key=lambda seed: _loss(approved.worse, before[seed], now[seed]), default=None
        )
        if worst is None:
            return _finding(approved, measured, Verdict.UNCHANGED, "is as approved")
        verdict = _verdict(approved, [(before[seed], now[seed]) for seed in moved])
        return Finding(
            metric=approved,
            verdict=verdict,
            approved=before[worst],
            measured=now[worst],
            message=_sentence(
                approved.worse, before[worst], now[worst], worst, len(moved), len(seeds)
            ),
            seed=worst,
        )


def unresolved(approved: Metric, measured: Metric) -> Finding:
    """Return the finding for a metric that has no seed at which both values are resolved.

    Parameters
    ----------
    approved, measured
        The metric.
    """
    if approved.resolved:
        reason = "was resolved when it was approved, and is not any more: it cannot be judged"
        return _finding(approved, measured, Verdict.NOT_COMPARABLE, reason)
    reason = "rounding decides this value; it was not resolved when it was approved, either"
    if measured.resolved:
        reason = "was not resolved when it was approved, and is now: approve it to have it judged"
    return _finding(approved, measured, Verdict.UNRESOLVED, reason)


def _finding(approved: Metric, measured: Metric, verdict: Verdict, message: str) -> Finding:
    return Finding(approved, verdict, approved.median, measured.median, message)


def _loss(worse: Worse, before: float, now: float) -> float:
    """Return by how much a value got worse; by how much it moved, if nothing is worse."""
    if worse is Worse.NEITHER:
        return abs(now - before)
    bad, good = worse.badness(now), worse.badness(before)
    return 0.0 if bad == good else bad - good


def _verdict(metric: Metric, moved: list[tuple[float, float]]) -> Verdict:
    worse, allowed = metric.worse, metric.tolerance
    if worse is Worse.NEITHER:
        return Verdict.CHANGED
    scores = [(worse.badness(before), worse.badness(now)) for before, now in moved]
    differing = [(before, now) for before, now in scores if differ(before, now, allowed)]
    if any(now > before for before, now in differing):
        return Verdict.REGRESSION
    return Verdict.IMPROVED if len(differing) == len(scores) else Verdict.CHANGED


def _sentence(worse: Worse, before: float, now: float, seed: int, moved: int, seeds: int) -> str:
    change = signed(now - before) if math.isfinite(now - before) else "beyond all bounds"
    where = f"{moved} of {seeds} seeds differ" if seeds > 1 else "its only seed differs"
    return f"{number(before)} → {number(now)} at seed {seed} ({change}); {where}; worse is {worse}"
