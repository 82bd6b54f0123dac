"""How often the comparison of other seeds is wrong, and that it is not blind."""

from __future__ import annotations

from collections import Counter

import numpy as np
from mutations import POOL, at, false_alarms
from scipy import stats

from gradprobe.gate import Baseline, FailOn, Measured, Verdict, compare, read_baseline
from gradprobe.gate.permutation import probabilities

SIDE = np.repeat([False, True], 10)


def test_the_probability_of_a_false_alarm_anywhere_is_the_stated_one() -> None:
    # 25 quantities that depend on each other, of which some are heavy-tailed, some discrete, and
    # some missing here and there.  If p is right, P(min p <= 0.05) = 0.05, for 500 ± 4 deviations.
    generator = np.random.default_rng(0)
    alarms = 0
    for _ in range(500):
        shared = generator.standard_normal((3, 20))
        values = generator.standard_normal((25, 3)) @ shared + generator.standard_cauchy((25, 20))
        values[5:9] = np.round(shared[0])
        values[9, generator.random(20) < 0.2] = np.nan
        values[10, generator.random(20) < 0.3] = np.inf
        alarms += probabilities(values, SIDE, splits=399).min() <= 0.05
    assert 6 <= alarms <= 44


def test_one_quantity_has_the_p_value_of_the_exact_permutation_test() -> None:
    generator = np.random.default_rng(3)
    values = generator.standard_normal(20) + 0.9 * SIDE
    exact = stats.permutation_test(
        (values[SIDE], values[~SIDE]),
        lambda one, other, axis: np.abs(one.mean(axis) - other.mean(axis)),
        alternative="greater",
        n_resamples=np.inf,
        vectorized=True,
    ).pvalue
    found = probabilities(values[None], SIDE)[0]
    assert abs(found - exact) < 4 * np.sqrt(exact / 20_000)
    assert 0.001 < exact < 0.3


def test_sound_results_at_other_seeds_raise_no_alarm() -> None:
    baseline = read_baseline(POOL)
    pool = Measured("stability", {}, baseline.seeds, list(baseline.metrics))
    assert false_alarms(pool, 25) == Counter({Verdict.UNCHANGED: 25})


def test_one_quantity_out_of_many_that_is_worse_is_found() -> None:
    baseline = read_baseline(POOL)
    pool = Measured("stability", {}, baseline.seeds, list(baseline.metrics))
    seeds = list(baseline.seeds)
    before, now = at(pool, seeds[:10]), at(pool, seeds[10:20])
    place = next(i for i, one in enumerate(now.metrics) if one.quantity == "log_sigma")
    one = now.metrics[place]
    spread = np.ptp(list(one.resolved.values()))
    worse = {seed: value - 3 * spread for seed, value in one.resolved.items()}
    now.metrics[place] = type(one).of(one.name, dict(worse), one.worse, one.tolerance)
    comparison = compare(Baseline.of(before), now)
    assert [finding.name for finding in comparison.failures(FailOn.CHANGED)] == [one.name]


def test_renaming_the_seeds_of_either_side_changes_nothing_at_all() -> None:
    generator = np.random.default_rng(5)
    values = generator.standard_normal((6, 20)) + 0.8 * SIDE
    values[2, 4], values[3, 15] = np.nan, -np.inf
    expected = probabilities(values, SIDE, splits=999)
    order = generator.permutation(20)
    assert np.array_equal(probabilities(values[:, order], SIDE[order], splits=999), expected)
