"""Different seeds: whether a difference is more than what seeds make by themselves."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gradprobe.gate.directions import Worse, differ
from gradprobe.gate.findings import Finding, Verdict
from gradprobe.gate.metric import Metric, median
from gradprobe.gate.paired import unresolved
from gradprobe.gate.words import number, signed

LEVEL = 0.001
"""Probability of a false alarm anywhere among all metrics of a comparison."""
FEWEST = 10
"""Seeds that each side must have."""
SPLITS = 19_999
"""Random splits of the seeds; with the one that was measured, 20,000."""
_CHUNK = 4_000
_SLACK = 1e-9


@dataclass(frozen=True)
class BetweenSeeds:
    """Compares the approved seeds' values with other seeds' values, all metrics together.

    If nothing has changed, any split of all seeds into two sides is as likely as the one at hand.
    The statistic of a metric is the squared correlation between its value and the side, which
    grows with the t statistic; the greatest over all metrics is compared with what it is in random
    splits.  Each seed takes all its metrics along, so that their dependence is accounted for, and
    the probability of one false alarm or more among all metrics is at most `LEVEL` (the single-step
    maximum method of Westfall and Young, 1993, section 2.8), whatever the distributions are.

    A metric with an infinity among its values is compared by their ranks.

    Attributes
    ----------
    seed
        Of the random splits; fixed, so that a check gives the same answer each time.

    Examples
    --------
    >>> from gradprobe.gate.example import metric
    >>> before = metric({seed: -1.0 - 0.01 * seed for seed in range(10)})
    >>> after = metric({100 + seed: -9.0 - 0.01 * seed for seed in range(10)})
    >>> BetweenSeeds().judge([(before, after)])[0].verdict
    <Verdict.REGRESSION: 'regression'>
    """

    seed: int = 0
    sentence: str = field(
        default=f"Other seeds than the approved ones: a difference counts if it exceeds the "
        f"tolerance and the noise between seeds; false alarms among all metrics together have a "
        f"probability of at most {LEVEL}."
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
        chances = iter(self._probabilities(able))
        return [
            _judged(approved, measured, next(chances))
            if min(len(approved.resolved), len(measured.resolved)) >= FEWEST
            else _too_few(approved, measured)
            for approved, measured in pairs
        ]

    def _probabilities(self, pairs: list[tuple[Metric, Metric]]) -> list[float]:
        """Return, for each pair, how often chance makes as great a difference anywhere."""
        if not pairs:
            return []
        old = sorted({seed for approved, _ in pairs for seed in approved.values})
        new = sorted({seed for _, measured in pairs for seed in measured.values})
        scores = np.stack([_scores(*pair, old, new) for pair in pairs])
        side = np.zeros(len(old) + len(new))
        side[len(old) :] = 1.0
        observed = _separation(scores, side[None])[:, 0]
        greatest = self._greatest(scores, side)
        reached = (greatest[None] >= observed[:, None] - _SLACK).sum(axis=1)
        return [float(count) for count in (1 + reached) / (1 + SPLITS)]

    def _greatest(self, scores: np.ndarray, side: np.ndarray) -> np.ndarray:
        """Return the greatest separation of any metric, for each of many random splits."""
        generator = np.random.default_rng(self.seed)
        parts = []
        for start in range(0, SPLITS, _CHUNK):
            sides = np.tile(side, (min(_CHUNK, SPLITS - start), 1))
            splits = generator.permuted(sides, axis=1)
            parts.append(_separation(scores, splits).max(axis=0))
        return np.concatenate(parts)


def _scores(approved: Metric, measured: Metric, old: list[int], new: list[int]) -> np.ndarray:
    """Return how bad each seed's value is, unresolved ones NaN; ranks if any is infinite."""
    worse = approved.worse
    values = [approved.resolved.get(seed) for seed in old]
    values += [measured.resolved.get(seed) for seed in new]
    bad = np.array([np.nan if value is None else worse.badness(value) for value in values])
    if np.isinf(bad).any():
        known = ~np.isnan(bad)
        _, rank = np.unique(bad[known], return_inverse=True)
        bad[known] = rank
    return _standardised(bad)


def _standardised(values: np.ndarray) -> np.ndarray:
    """Return values of mean 0 and greatest size 1; zeros if they are equal but for rounding."""
    centred = values - np.nanmean(values)
    size = np.nanmax(np.abs(centred))
    scale = np.nanmax(np.abs(values))
    return centred / size if size > 1e-12 * scale else np.where(np.isnan(values), np.nan, 0.0)


def _separation(scores: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Return the squared correlation of every metric (rows) with every split (columns)."""
    known = ~np.isnan(scores)
    values = np.where(known, scores, 0.0)
    count = known.sum(axis=1, keepdims=True).astype(float)
    on_side = known.astype(float) @ sides.T
    sums = values @ sides.T
    total = (values**2).sum(axis=1, keepdims=True) - values.sum(axis=1, keepdims=True) ** 2 / count
    excess = sums - values.sum(axis=1, keepdims=True) * on_side / count
    weight = on_side * (count - on_side) / count
    room = total * weight
    shared: np.ndarray = np.divide(excess**2, room, out=np.zeros_like(room), where=room > 0)
    return shared


def _judged(approved: Metric, measured: Metric, probability: float) -> Finding:
    before, now = approved.median, measured.median
    if before is None or now is None:
        raise AssertionError("metrics are judged only if they have resolved values")
    verdict = Verdict.UNCHANGED
    bad = [_typical(approved.worse, metric) for metric in (approved, measured)]
    if probability <= LEVEL and differ(bad[0], bad[1], approved.tolerance):
        verdict = _direction(approved.worse, bad[0], bad[1])
    more = signed(bad[1] - bad[0]) if np.isfinite(bad[1] - bad[0]) else "beyond all bounds"
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
