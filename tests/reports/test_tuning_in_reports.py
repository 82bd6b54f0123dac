"""The section on tuning, and what trainings said of the ranking, against SciPy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gradprobe import tuning
from gradprobe.reports.example import example_results
from gradprobe.reports.page import build_report
from gradprobe.reports.tuning_outcome import correlations, paired, worth
from gradprobe.reports.tuning_section import tuning_section
from gradprobe.tuning.example import example_table


def runs(accuracies: dict[str, list[float]], metric: str = "accuracy") -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"model": model, "seed": seed, "metric": metric, "test": value}
            for model, values in accuracies.items()
            for seed, value in enumerate(values)
        ]
    )


def test_the_section_shows_what_the_ranking_found() -> None:
    section = tuning_section(example_table())
    assert section is not None
    rows = section.tasks[0].rows
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    assert rows[0]["score"] == "0.400"
    assert rows[0]["scores"] == "0.350 … 0.450"
    assert [row["within_bound"] for row in rows] == [True, True, False]
    assert rows[2]["log_sigma_max"] == "40.00"
    assert rows[0]["log_spread"] == "−0.40"


def test_numbers_that_are_not_known_or_not_finite_are_told() -> None:
    table = example_table()
    spectrum = table["quantity"] == "log_sigma"
    table = table.assign(
        resolved=table["resolved"].mask(table["quantity"] == "effective_rank", False),
        value=table["value"].mask(spectrum & (table["rank"] == 2), -np.inf),
    )
    section = tuning_section(table)
    assert section is not None
    assert section.tasks[0].rows[0]["effective_rank"] == "not known"
    assert section.tasks[0].rows[0]["rms_log_sigma"] == "∞"


def test_a_report_has_the_section_where_candidates_were_measured() -> None:
    results = example_results(models=1, lengths=[8])
    assert 'id="tuning"' not in build_report(results)
    evil = example_table()
    evil = evil.assign(model=evil["model"].replace("σ_w = 4", "<script>alert(1)</script>"))
    both = pd.concat([results.table, evil], ignore_index=True)
    page = build_report(type(results)(results.study, both, results.cells, results.missing))
    assert '<h2 id="tuning">' in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_correlations_are_those_of_scipy() -> None:
    generator = np.random.default_rng(0)
    candidates = [f"candidate {number}" for number in range(8)]
    scores, accuracies = generator.normal(size=(2, 8))
    ranked = pd.DataFrame(
        {
            "model": candidates,
            "rank": stats.rankdata(-scores).astype(int),
            "score": scores,
            "explained_variance_rescaled": generator.normal(size=8),
            "effective_rank": generator.normal(size=8),
            "log_spread": generator.normal(size=8),
            "rms_log_sigma": generator.normal(size=8) ** 2,
            "log_sigma_max": 8 * generator.normal(size=8),
        }
    )
    spread = np.array([-1.0, 0.0, 1.0])  # medians are the middle ones
    outcome = runs(dict(zip(candidates, accuracies[:, None] + spread, strict=True)))
    found = correlations(ranked, outcome).set_index("predictor")
    assert found["candidates"].eq(8).all()
    expected = {
        "order of gradprobe tune": scores,
        "order with the bound 5": scores - 100 * (ranked["log_sigma_max"].abs() > 5),
        "score, without the bound": scores,
        "isometry: −RMS log σ": -ranked["rms_log_sigma"],
        "bound alone: −|log σ_max|": -ranked["log_sigma_max"].abs(),
    }
    for name, predictor in expected.items():
        assert found.loc[name, "correlation"] == pytest.approx(
            stats.spearmanr(predictor, accuracies).statistic, abs=1e-12
        )


def test_what_was_trained_alone_is_left_out() -> None:
    ranked = tuning.rank(example_table())
    outcome = runs({"σ_w = 1": [10.0], "σ_w = 4": [50.0], "another": [40.0]})
    found = correlations(ranked, outcome)
    assert found["candidates"].eq(2).all()
    assert found["correlation"].isna().all()  # two are too few to say


def test_a_diverged_training_is_worse_than_any_error() -> None:
    values = worth(runs({"a": [0.5, float("nan")], "b": [0.1, 0.2]}, "mean_squared_error"))
    assert values.tolist() == [-0.5, -np.inf, -0.1, -0.2]


def test_pairs_are_compared_as_by_students_t_and_by_flipping_signs() -> None:
    first, second = [61.0, 63.5, 58.0, 66.0, 60.5], [60.0, 60.0, 59.0, 61.0, 58.0]
    found = paired(runs({"a": first, "b": second}), "a", "b")
    interval = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-12)
    expected = stats.permutation_test(
        (np.subtract(first, second),), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert found.probability == pytest.approx(expected.pvalue, rel=1e-12)


def test_a_smaller_error_is_a_gain() -> None:
    found = paired(runs({"a": [0.01, 0.02], "b": [0.16, 0.17]}, "mean_squared_error"), "a", "b")
    assert found.differences == pytest.approx((0.15, 0.15))
