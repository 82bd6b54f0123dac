"""The numbers of the report against plain NumPy on the table's rows."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from gradprobe import frame
from gradprobe.reports.example import ExampleResults, example_results
from gradprobe.reports.series import bands, gains, select, with_series
from gradprobe.reports.summary import real_part_summary, summarise
from gradprobe.reports.verdicts import LOST, Verdict, judge

UNITS = 16


@pytest.fixture(scope="module")
def results() -> ExampleResults:
    return example_results(seeds=3, sequences=2, units=UNITS)


def plain(table: pd.DataFrame, **wanted: object) -> pd.DataFrame:
    """Select rows without any of our own selecting."""
    for column, value in wanted.items():
        table = table[table[column] == value]
    return table


def test_gain_is_the_norm_at_the_last_step_against_that_of_the_identity(
    results: ExampleResults,
) -> None:
    summary = summarise(with_series(results.table))
    for model in results.table["model"].unique():
        rows = plain(
            results.table, model=model, quantity="log_norm_fro", matrix="end_to_end", step=1000
        )
        gain = rows["value"].to_numpy() - 0.5 * math.log(UNITS)
        assert len(gain) == 6
        row = summary.loc[model]
        found = [row["gain"], row["gain_low"], row["gain_high"]]
        np.testing.assert_allclose(found, [np.median(gain), gain.min(), gain.max()], atol=1e-12)
        assert row["norm"] == pytest.approx(np.median(rows["value"]), abs=1e-12)
        assert row["rate"] == pytest.approx(np.median(gain) / 1000, abs=1e-15)


def test_tail_ends_at_the_identity(results: ExampleResults) -> None:
    rows = gains(with_series(results.table), "tail")
    assert set(rows["length"]) == {1000}
    assert rows.loc[rows["step"] == 1000, "value"].abs().max() < 1e-12
    assert rows.loc[rows["step"] == 0, "value"].abs().max() > 100


def test_spectrum_takes_the_ends_of_each_run_and_counts_what_is_kept(
    results: ExampleResults,
) -> None:
    summary = summarise(with_series(results.table))
    for model in ("vanilla", "AntisymmetricRNN, γ = 0.01", "unstable"):
        rows = plain(results.table, model=model, quantity="log_sigma", length=1000)
        spectra = rows["value"].to_numpy().reshape(6, UNITS)
        row = summary.loc[model]
        assert row["largest"] == pytest.approx(np.median(spectra.max(axis=1)), abs=1e-12)
        assert row["smallest"] == pytest.approx(np.median(spectra.min(axis=1)), abs=1e-12)
        kept = (np.abs(spectra) <= math.log(10)).sum(axis=1)
        assert row["kept"] == np.median(kept)
    assert summary.at["unstable", "smallest"] == -math.inf
    assert summary.at["unstable", "spread"] == math.inf


def test_an_unresolved_end_of_the_spectrum_is_not_stated(results: ExampleResults) -> None:
    row = summarise(with_series(results.table)).loc["LSTM, forget bias 5"]
    assert np.isnan(row["smallest"])
    assert np.isnan(row["spread"])
    assert row["largest"] < 0
    open_ = plain(results.table, model="LSTM, forget bias 5")["resolved"]
    assert row["unresolved"] == pytest.approx(1 - open_.astype(float).mean(), abs=1e-15)


def test_without_norms_the_gain_comes_from_the_spectrum() -> None:
    results = example_results(models=3, probes=["singular_values"], units=UNITS)
    summary = summarise(with_series(results.table))
    rows = plain(results.table, model="vanilla", length=1000)
    sigma = np.exp(rows["value"].to_numpy().reshape(4, UNITS))
    norms = np.linalg.norm(sigma, axis=1) / math.sqrt(UNITS)
    assert summary.at["vanilla", "gain"] == pytest.approx(np.median(np.log(norms)), abs=1e-9)
    assert summary.at["vanilla", "basis"] == "spectrum"
    assert summary.at["vanilla", "verdict"] == "vanishes"


def test_what_the_spectrum_cannot_tell_is_undetermined() -> None:
    results = example_results(models=1, probes=["singular_values"], units=UNITS)
    table = results.table.assign(resolved=results.table["rank"] > 1)
    assert summarise(with_series(table)).at["vanilla", "verdict"] == Verdict.UNDETERMINED


def test_real_parts_are_those_of_the_sampled_steps(results: ExampleResults) -> None:
    summary = real_part_summary(with_series(results.table))
    rows = plain(results.table, model="gated AntisymmetricRNN")
    top = plain(rows, quantity="real_max")["value"]
    row = summary.loc["gated AntisymmetricRNN"]
    assert (row["max_low"], row["max_high"]) == (top.min(), top.max())
    assert row["mean"] == np.median(plain(rows, quantity="real_mean")["value"])
    assert row["matrix"] == "vector_field"
    assert row["steps"] == 50


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [
        (math.log(10), Verdict.SURVIVES),
        (-math.log(10), Verdict.SURVIVES),
        (math.log(10.01), Verdict.GROWS),
        (-math.log(10.01), Verdict.DECAYS),
        (-LOST - 1e-9, Verdict.VANISHES),
        (LOST + 1e-9, Verdict.EXPLODES),
    ],
)
def test_verdicts_change_where_the_page_says(gain: float, verdict: Verdict) -> None:
    assert judge(gain) is verdict
    assert judge(gain, resolved=False) is Verdict.UNDETERMINED


def test_what_is_lost_leaves_no_trace_in_single_precision() -> None:
    one = np.float32(1)
    assert one + np.float32(math.exp(-LOST)) == one
    assert one + np.float32(math.exp(-LOST + 0.75)) > one


def test_bands_are_median_and_range_and_resolved_only_if_all_are() -> None:
    table = frame.rows(
        model="a",
        step=[1, 1, 1, 2, 2, 2],
        value=[1.0, 5.0, 3.0, -np.inf, 0.0, 2.0],
        resolved=[True, True, True, True, False, True],
    )
    band = bands(with_series(table), "step")
    assert band["median"].tolist() == [3.0, 0.0]
    assert band["low"].tolist() == [1.0, -np.inf]
    assert band["high"].tolist() == [5.0, 2.0]
    assert band["resolved"].tolist() == [True, False]


def test_the_state_is_preferred_to_its_hidden_block() -> None:
    table = frame.rows(
        model=["a", "a", "b"],
        quantity="log_sigma",
        block=["state", "hidden", "hidden"],
        value=[1.0, 2.0, 3.0],
    )
    assert select(with_series(table), "log_sigma")["value"].tolist() == [1.0, 3.0]


def test_tasks_and_iterations_make_series_of_their_own() -> None:
    table = frame.rows(model="a", task=["t", "u", "t"], iteration=[0, 0, 7], value=[1.0, 2.0, 3.0])
    names = list(with_series(table)["series"])
    assert names == ["a · t · iteration 0", "a · u · iteration 0", "a · t · iteration 7"]


def test_names_that_look_the_same_stay_apart() -> None:
    table = frame.rows(model=["a␁", "a\x01"], value=[1.0, 2.0])
    assert list(with_series(table)["series"]) == ["a␁", "a␁ (2)"]
