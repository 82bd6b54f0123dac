"""Verdicts, obstacles and exit codes, on made-up metrics."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradprobe.gate import Baseline, FailOn, Measured, Verdict, compare
from gradprobe.gate.directions import Worse
from gradprobe.gate.example import NAME, metric
from gradprobe.gate.metric import Metric

INF = float("inf")


def measured(*metrics: Metric) -> Measured:
    seeds = tuple(sorted({seed for one in metrics for seed in one.values}))
    return Measured("made up", {"GRU": {"digits": "a"}}, seeds, list(metrics))


def of(values: dict[int, float | None], worse: Worse = Worse.FARTHER_FROM_ZERO) -> Measured:
    return measured(metric(values, worse))


def verdict(before: float | None, now: float | None, worse: Worse) -> Verdict:
    # a second metric lets nothing but the first one's verdict depend on it
    approved, later = (
        measured(
            metric({0: value}, worse), metric({0: 1.0}, worse, NAME._replace(quantity="other"))
        )
        for value in (before, now)
    )
    (found,) = (
        finding.verdict
        for finding in compare(Baseline.of(approved), later).findings
        if finding.name == NAME
    )
    return found


@pytest.mark.parametrize(
    ("before", "now", "worse", "expected"),
    [
        (-1.0, -2.0, Worse.FARTHER_FROM_ZERO, Verdict.REGRESSION),
        (1.0, 2.0, Worse.FARTHER_FROM_ZERO, Verdict.REGRESSION),
        (-2.0, 1.0, Worse.FARTHER_FROM_ZERO, Verdict.IMPROVED),
        (-2.0, 2.0, Worse.FARTHER_FROM_ZERO, Verdict.CHANGED),
        (-2.0, -INF, Worse.FARTHER_FROM_ZERO, Verdict.REGRESSION),
        (-INF, -700.0, Worse.FARTHER_FROM_ZERO, Verdict.IMPROVED),
        (-INF, -INF, Worse.FARTHER_FROM_ZERO, Verdict.UNCHANGED),
        (-INF, INF, Worse.FARTHER_FROM_ZERO, Verdict.CHANGED),
        (-1e3, -1e3 - 5e-3, Worse.FARTHER_FROM_ZERO, Verdict.UNCHANGED),
        (-1e3, -1e3 - 5e-2, Worse.FARTHER_FROM_ZERO, Verdict.REGRESSION),
        (0.99, 0.98, Worse.FARTHER_FROM_ONE, Verdict.REGRESSION),
        (0.9, 1.05, Worse.FARTHER_FROM_ONE, Verdict.IMPROVED),
        (0.98, 0.97, Worse.LOWER, Verdict.REGRESSION),
        (INF, 7.0, Worse.LOWER, Verdict.REGRESSION),
        (0.5, 0.6, Worse.HIGHER, Verdict.REGRESSION),
        (0.5, 0.6, Worse.NEITHER, Verdict.CHANGED),
        (None, None, Worse.HIGHER, Verdict.UNRESOLVED),
        (None, 0.6, Worse.HIGHER, Verdict.UNRESOLVED),
        (0.5, None, Worse.HIGHER, Verdict.NOT_COMPARABLE),
    ],
)
def test_one_seed_has_the_verdict_that_its_direction_says(
    before: float | None, now: float | None, worse: Worse, expected: Verdict
) -> None:
    assert verdict(before, now, worse) is expected


def test_one_seed_that_is_worse_is_a_regression_whatever_the_others_do() -> None:
    before, now = of({0: -5.0, 1: -1.0, 2: -4.0}), of({0: -1.0, 1: -1.5, 2: -2.0})
    (finding,) = compare(Baseline.of(before), now).findings
    assert finding.verdict is Verdict.REGRESSION
    assert (finding.seed, finding.approved, finding.measured) == (1, -1.0, -1.5)
    assert "3 of 3 seeds differ" in finding.message


def test_an_unresolved_seed_is_left_out_and_the_others_are_judged() -> None:
    before, now = of({0: -5.0, 1: -1.0}), of({0: None, 1: -1.0})
    assert compare(Baseline.of(before), now).exit_code(FailOn.CHANGED) == 0
    worse = of({0: None, 1: -2.0})
    assert compare(Baseline.of(before), worse).exit_code(FailOn.REGRESSION) == 1


def test_a_tolerance_of_the_baseline_holds() -> None:
    wide = metric({0: -1.0}).model_copy(update={"tolerance": 0.5})
    baseline = Baseline.of(measured(wide))
    assert compare(baseline, of({0: -1.4})).exit_code(FailOn.CHANGED) == 0
    assert compare(baseline, of({0: -1.6})).exit_code(FailOn.CHANGED) == 1


OLD, NEW = range(10), range(100, 110)


@pytest.mark.parametrize(
    ("seeds", "code"),
    [
        ([0, 1, 2], 0),
        ([0, 1, 2, 3], 0),
        ([0, 1], 3),
        ([1, 2, 3], 3),
        ([5, 6, 7], 3),
        (list(range(3, 30)), 3),
    ],
)
def test_seeds_that_cannot_be_compared_are_not_a_pass(seeds: list[int], code: int) -> None:
    baseline = Baseline.of(of({0: -1.0, 1: -1.0, 2: -1.0}))
    comparison = compare(baseline, of(dict.fromkeys(seeds, -1.0)))
    assert comparison.exit_code(FailOn.CHANGED) == code
    assert bool(comparison.obstacles) == bool(code)


def test_other_seeds_need_ten_on_each_side() -> None:
    nine = Baseline.of(of(dict.fromkeys(range(9), -1.0)))
    ten = Baseline.of(of(dict.fromkeys(OLD, -1.0)))
    assert compare(nine, of(dict.fromkeys(NEW, -1.0))).exit_code(FailOn.REGRESSION) == 3
    assert compare(ten, of(dict.fromkeys(NEW, -1.0))).exit_code(FailOn.REGRESSION) == 0


def test_at_other_seeds_a_metric_that_is_rarely_resolved_is_not_comparable() -> None:
    baseline = Baseline.of(of(dict.fromkeys(OLD, -1.0)))
    values = {seed: -1.0 if seed > NEW[0] else None for seed in NEW}
    (finding,) = compare(baseline, of(values)).findings
    assert finding.verdict is Verdict.NOT_COMPARABLE
    assert "10 approved and 9 measured" in finding.message


def test_zeros_among_other_seeds_are_compared_by_rank() -> None:
    baseline = Baseline.of(of({seed: -700.0 - seed for seed in OLD}))
    zeros = compare(baseline, of(dict.fromkeys(NEW, -INF)))
    assert zeros.exit_code(FailOn.REGRESSION) == 1
    same = Baseline.of(of(dict.fromkeys(OLD, -INF)))
    assert compare(same, of(dict.fromkeys(NEW, -INF))).exit_code(FailOn.CHANGED) == 0


def test_a_difference_below_the_tolerance_is_none_however_certain() -> None:
    baseline = Baseline.of(of(dict.fromkeys(OLD, -1.0)))
    assert compare(baseline, of(dict.fromkeys(NEW, -1.000001))).exit_code(FailOn.CHANGED) == 0


def test_an_improvement_never_fails() -> None:
    baseline = Baseline.of(of({0: -2.0}))
    comparison = compare(baseline, of({0: -1.0}))
    assert comparison.of(Verdict.IMPROVED)
    assert comparison.exit_code(FailOn.CHANGED) == 0


def test_all_failures_and_all_obstacles_are_told_at_once() -> None:
    names = [NAME._replace(length=length) for length in (8, 16, 32)]
    before = measured(*(metric({0: -1.0}, name=name) for name in names))
    now = measured(metric({0: -2.0}, name=names[0]), metric({0: -3.0}, name=names[1]))
    now = replace(now, gaps=("GRU on digits: not finished at seed 9",))
    comparison = compare(Baseline.of(before), now)
    assert [finding.verdict for finding in comparison.findings] == [
        Verdict.REGRESSION,
        Verdict.REGRESSION,
        Verdict.NOT_COMPARABLE,
    ]
    assert comparison.obstacles == ("GRU on digits: not finished at seed 9",)
    assert comparison.exit_code(FailOn.REGRESSION) == 1


@pytest.mark.parametrize(
    "settings",
    [{"GRU": {"digits": "b"}}, {}, {"GRU": {"digits": "a"}, "LSTM": {"digits": "c"}}],
)
def test_another_study_is_not_comparable(settings: dict[str, dict[str, str]]) -> None:
    one = of({0: -1.0})
    comparison = compare(Baseline.of(one), replace(one, settings=settings))
    assert comparison.exit_code(FailOn.REGRESSION) == 3
    assert len(comparison.obstacles) == 1


def test_a_metric_that_nobody_approved_is_not_comparable() -> None:
    one = metric({0: -1.0})
    two = measured(one, metric({0: -1.0}, name=NAME._replace(length=99)))
    comparison = compare(Baseline.of(measured(one)), two)
    assert comparison.exit_code(FailOn.REGRESSION) == 3
    assert comparison.of(Verdict.NOT_COMPARABLE)[0].message == "was never approved"


def test_where_nothing_is_resolved_nothing_passes() -> None:
    one, none = metric({0: -1.0}), metric({0: None}, name=NAME._replace(length=99))
    baseline = Baseline.of(measured(one, none))
    only = Baseline(**{**dict(baseline), "metrics": (none,)})
    assert compare(only, measured(none)).exit_code(FailOn.REGRESSION) == 3


numbers = st.one_of(
    st.none(), st.sampled_from([-INF, INF]), st.floats(-1e6, 1e6, allow_subnormal=False)
)
tables = st.integers(1, 4).flatmap(
    lambda count: st.lists(st.tuples(*[numbers] * count), min_size=1, max_size=5)
)


@given(tables, st.sampled_from(Worse))
def test_results_pass_their_own_baseline(
    rows: list[tuple[float | None, ...]], worse: Worse
) -> None:
    one = measured(
        *(
            metric(dict(enumerate(values)), worse, NAME._replace(length=length))
            for length, values in enumerate([*rows, (0.0,) * len(rows[0])])
        )
    )
    comparison = compare(Baseline.of(one), one)
    assert comparison.exit_code(FailOn.CHANGED) == 0
    assert not comparison.of(Verdict.IMPROVED)


@given(st.permutations(range(4)), st.lists(st.floats(-9, 9), min_size=8, max_size=8))
def test_renaming_the_seeds_changes_no_verdict(order: list[int], values: list[float]) -> None:
    def found(names: list[int]) -> list[tuple[Verdict, float | None, float | None]]:
        before = of(dict(zip(names, values[:4], strict=True)))
        now = of(dict(zip(names, values[4:], strict=True)))
        comparison = compare(Baseline.of(before), now)
        return [(one.verdict, one.approved, one.measured) for one in comparison.findings]

    (one,), (other,) = found([0, 1, 2, 3]), found(order)
    assert one[0] is other[0]
