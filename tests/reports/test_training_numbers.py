"""What trainings came to, against numbers worked out by hand, exact sums and scipy."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gradprobe import frame
from gradprobe.reports.example import ExampleCell, ExampleResults, ExampleStudy
from gradprobe.reports.example_trainings import example_trainings
from gradprobe.reports.survival import p_value, relations, spearman
from gradprobe.reports.training_answer import answer, points
from gradprobe.reports.trainings import chance_level, outcomes, trainings


def results_of(accuracies: dict[str, list[float | None]], **published: float) -> ExampleResults:
    """Return trainings of 200 iterations with these test accuracies; None: diverged at 70."""
    tables, cells = [], []
    for model, values in accuracies.items():
        for seed, value in enumerate(values):
            at = np.array([100, 200])
            rows = [frame.rows(quantity="validation_accuracy", iteration=at, value=0.1)]
            if value is None:
                rows = [frame.rows(quantity="diverged_at", iteration=70, value=70.0)]
            else:
                rows.append(frame.rows(quantity="test_accuracy", iteration=200, value=value))
            known = {"test_examples": 1000.0, "number_of_classes": 10.0, "total": 123.0}
            rows += [frame.rows(quantity=n, iteration=0, value=v) for n, v in known.items()]
            tables.append(
                frame.concatenate(rows, probe="training", model=model, task="t", seed=seed)
            )
            cells.append(
                ExampleCell(
                    model,
                    "t",
                    seed,
                    seconds=10.0 * (seed + 1),
                    specification={"training": {"iterations": 200}, "model": {"hidden_size": 7}},
                    published=published,
                )
            )
    return ExampleResults(ExampleStudy(), frame.concatenate(tables), cells)


def rows_of(results: ExampleResults) -> list[dict[str, object]]:
    found = outcomes(trainings(results.table, results.cells), results.cells)
    return [{str(k): v for k, v in row.items()} for row in found.to_dict("records")]


def test_medians_ranges_and_differences() -> None:
    results = results_of({"a": [0.5, 0.9, 0.6]}, test_accuracy=58.0, iterations=1000)
    (row,) = rows_of(results)
    assert (row["test"], row["low"], row["high"]) == pytest.approx((60.0, 50.0, 90.0))
    assert row["difference"] == pytest.approx(2.0)
    assert (row["seeds"], row["diverged"], row["iterations"]) == (3, 0, 200)
    assert (row["budget"], row["below_budget"]) == (1000, True)
    assert (row["seconds"], row["units"]) == (20.0, 7)
    assert row["learned"] is True


def test_the_full_budget_is_not_below_it() -> None:
    (row,) = rows_of(results_of({"a": [0.5]}, iterations=200))
    assert row["below_budget"] is False
    (row,) = rows_of(results_of({"a": [0.5]}))
    assert row["below_budget"] is False
    assert math.isnan(float(str(row["budget"])))


def test_diverged_trainings_leave_the_medians_of_the_others() -> None:
    some, every = rows_of(results_of({"some": [0.5, None, 0.7], "every": [None, None]}))
    assert (some["test"], some["diverged"], some["iterations"]) == (pytest.approx(60.0), 1, 200)
    assert (every["diverged"], every["iterations"], every["learned"]) == (2, 70, False)
    assert math.isnan(float(str(every["test"])))


def test_the_edge_of_chance_is_the_exact_binomial_quantile() -> None:
    for examples, classes in ((100, 10), (300, 10), (57, 3)):
        p, total, k = Fraction(1, classes), Fraction(0), 0
        while True:
            total += math.comb(examples, k) * p**k * (1 - p) ** (examples - k)
            if total >= Fraction(39, 40):
                break
            k += 1
        assert chance_level(examples, classes) == pytest.approx(k / examples)
    assert math.isnan(chance_level(math.nan, 10))


def test_a_model_at_the_edge_of_chance_has_not_learned() -> None:
    edge = chance_level(1000, 10)
    at, above = rows_of(results_of({"at": [edge], "above": [edge + 0.001]}))
    assert (at["learned"], above["learned"]) == (False, True)


@pytest.mark.parametrize(
    ("count", "told"),
    [(2, "can tell: bad 0 and bad 1 on t"), (30, "can tell: 30 of 31 models on t")],
)
def test_models_that_have_not_learned_are_named_while_they_are_few(count: int, told: str) -> None:
    accuracies: dict[str, list[float | None]] = {f"bad {k}": [0.1] for k in range(count)}
    results = results_of({"good": [0.9], **accuracies})
    rows = outcomes(trainings(results.table, results.cells), results.cells)
    text = answer(rows, []).others[0].striptags()
    assert told in text


@pytest.mark.parametrize(
    ("count", "told"),
    [(1, "Diverged: 1 of 2 trainings of bad 0 on t."), (30, "30 trainings of 30 models.")],
)
def test_models_that_diverged_are_named_while_they_are_few(count: int, told: str) -> None:
    results = results_of({f"bad {k}": [None, 0.9] for k in range(count)})
    rows = outcomes(trainings(results.table, results.cells), results.cells)
    assert told in answer(rows, []).others[0].striptags()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 9)] * 2), min_size=4, max_size=12))
def test_the_rank_correlation_is_scipys(pairs: list[tuple[int, int]]) -> None:
    values = np.array(pairs, dtype=float)
    found = spearman(values)[0]
    if len(set(values[:, 0])) == 1 or len(set(values[:, 1])) == 1:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(stats.spearmanr(*values.T).statistic, abs=1e-12)


def test_the_interval_is_scipys_percentile_bootstrap() -> None:
    x = np.arange(20.0)
    y = x + 6 * np.random.default_rng(3).normal(size=20)
    _, low, high = spearman(np.stack((x, y), axis=1))
    theirs = stats.bootstrap(
        (x, y),
        lambda a, b: stats.spearmanr(a, b).statistic,
        paired=True,
        vectorized=False,
        n_resamples=2000,
        method="percentile",
        random_state=np.random.default_rng(1),
    ).confidence_interval
    assert low == pytest.approx(theirs.low, abs=0.06)
    assert high == pytest.approx(theirs.high, abs=0.03)
    assert low < high


def test_infinite_and_diverged_rank_last() -> None:
    pairs = np.array([[-np.inf, -np.inf], [-3.0, 10.0], [-1.0, 20.0], [0.0, 30.0]])
    assert spearman(pairs)[0] == pytest.approx(1.0)


def test_survival_is_minus_the_size_of_the_log_gain_at_initialisation() -> None:
    results = example_trainings(tasks=["digits"], models=5)
    later = results.table[results.table["probe"] == "gradient_norm"].assign(iteration=1000)
    table = frame.concatenate([results.table, later.assign(value=later["value"] * 7)])
    (relation,) = relations(table, trainings(table, results.cells))
    ends = results.table[results.table["step"] == 400][["model", "seed", "value"]]
    both = relation.points.merge(ends, on=["model", "seed"])
    gains = both["value"].to_numpy() - 0.5 * math.log(128)
    assert both["gain"].to_numpy() == pytest.approx(gains, abs=1e-12)
    assert both["survival"].to_numpy() == pytest.approx(-np.abs(gains), abs=1e-12)
    assert len(both) == 10
    assert (relation.models, relation.length) == (5, 400)
    # LSTM 81, Antisymmetric 88, gated 87, ablation 67 or diverged, vanilla 28, against survival
    assert relation.correlation == pytest.approx(0.7)


def test_what_the_arithmetic_does_not_determine_is_left_out_and_counted() -> None:
    results = example_trainings(tasks=["digits"])
    table = results.table
    open_ = (table["model"] == "LSTM") & (table["probe"] == "gradient_norm")
    table.loc[open_, "resolved"] = False
    (relation,) = relations(table, trainings(table, results.cells))
    assert (relation.models, relation.unresolved) == (4, 1)
    assert "LSTM" not in set(relation.points["model"])


def test_too_few_models_give_no_correlation() -> None:
    results = example_trainings(tasks=["digits"], models=3)
    related = relations(results.table, trainings(results.table, results.cells))
    assert math.isnan(related[0].correlation)
    rows = outcomes(trainings(results.table, results.cells), results.cells)
    others = " ".join(str(line.striptags()) for line in answer(rows, related).others)
    assert "on digits it is not known: it takes 4 models" in others


@given(st.permutations(range(7)))
@settings(max_examples=20)
def test_the_p_value_is_that_of_all_permutations(order: list[int]) -> None:
    """Against the definition: of 5040 orders, those that correlate as strongly, twice one side."""
    pairs = np.stack((np.arange(7.0), np.array(order, dtype=float)), axis=1)
    every = np.array([np.dot(range(7), other) for other in permutations(order)])
    own = np.dot(range(7), order)
    expected = min(1.0, 2 * min((every >= own).mean(), (every <= own).mean()))
    assert p_value(pairs) == pytest.approx(expected, abs=1e-12)


def test_four_models_in_the_same_order_are_too_few_to_tell() -> None:
    pairs = np.arange(4.0)[:, None] * [1.0, 1.0]
    assert spearman(pairs) == pytest.approx((1.0, 1.0, 1.0))
    assert p_value(pairs) > 0.05
    assert p_value(np.arange(8.0)[:, None] * [1.0, -1.0]) < 0.001


def test_the_words_follow_the_permutation_test() -> None:
    results = example_trainings(tasks=["digits"])
    runs = trainings(results.table, results.cells)
    (relation,) = relations(results.table, runs)
    rows = outcomes(runs, results.cells)
    relation = relation._replace(low=-0.1, high=0.9)
    for correlation, p, words in (
        (0.7, 0.01, "on digits it does (0.70, 95 % interval −0.10 to 0.90, p = 0.01, 5 models)"),
        (
            -0.7,
            1e-4,
            "on digits it does, the other way round (−0.70, 95 % interval −0.10 to 0.90, p",
        ),
        (0.7, 0.23, "on digits that cannot be told (0.70, 95 % interval −0.10 to 0.90, p = 0.23"),
    ):
        one = relation._replace(correlation=correlation, p_value=p)
        assert words in answer(rows, [one]).others[-1].striptags()


def test_a_cell_without_training_rows_is_no_training() -> None:
    results = results_of({"a": [0.5]})
    cells = [*results.cells, replace(results.cells[0], label="b")]
    assert list(trainings(results.table, cells)["model"]) == ["a"]


@pytest.mark.parametrize(
    ("difference", "text"), [(-2.06, "−2.1"), (0.04, "±0.0"), (-0.04, "±0.0"), (3.0, "+3.0")]
)
def test_differences_have_signs(difference: float, text: str) -> None:
    assert points(difference) == text
