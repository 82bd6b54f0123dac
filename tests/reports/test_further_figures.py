"""Maps of spectra, parts of decay, Lyapunov spectra and costs: against closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from html_page import Page

from gradprobe import frame
from gradprobe.reports.costs import costs
from gradprobe.reports.example import ExampleCell, ExampleResults, example_results
from gradprobe.reports.figures import cost_of_models, decay_areas, singular_spectrum_map
from gradprobe.reports.figures.attribution import attribution_sums
from gradprobe.reports.figures.lyapunov import lyapunov_spectrum
from gradprobe.reports.figures.spectrum_map import spectrum_runs
from gradprobe.reports.further_answer import attribution_sentences, lyapunov_sentence
from gradprobe.reports.page import build_report
from gradprobe.reports.series import with_series

PARTS = ("log_growth_reference", "log_growth_activation", "log_growth_carry")
PLACE = {"task": "digits", "iteration": 0, "block": "state", "length": 4, "resolved": True}


def attribution(
    model: str, per_step: tuple[float, float, float], **changed: object
) -> pd.DataFrame:
    """Return four steps of constant parts, and their sum."""
    described = {"model": model, "seed": 0, "sequence": 0, **PLACE, **changed}
    values = dict(zip(PARTS, per_step, strict=True)) | {"log_growth": sum(per_step)}
    return frame.concatenate(
        [
            frame.rows(
                probe="decay_attribution",
                quantity=quantity,
                matrix="step",
                step=range(1, 5),
                value=value,
                **described,
            )
            for quantity, value in values.items()
        ]
    )


def exponents(model: str, values: list[float], error: float = 0.001) -> pd.DataFrame:
    return frame.rows(
        model=model,
        seed=0,
        sequence=0,
        probe="lyapunov_exponents",
        quantity="lyapunov_exponent",
        matrix="end_to_end",
        step=4,
        rank=range(1, len(values) + 1),
        value=values,
        error=error,
        **PLACE,
    )


def test_classes_of_singular_values_are_runs_from_the_top() -> None:
    thresholds = [17.0, 16.0, 6.0, 2.0, -2.0, -3.0, -7.0, -17.0, -np.inf, np.nan]
    rows = frame.rows(
        quantity="log_sigma",
        length=[[5], [50]],
        rank=range(1, 11),
        value=[thresholds, [0.0] * 10],
        resolved=[[True] * 9 + [False], [True] * 10],
    )
    runs = spectrum_runs(with_series(rows))
    assert [run.kind for run in runs] == [6, 5, 4, 3, 2, 1, 0, 7, 3]
    assert runs[3][:3] == (5, 0.3, 0.5)
    assert runs[-1] == (50, 0.0, 1.0, 3)


def test_the_map_has_a_box_for_every_run_and_a_column_for_every_length() -> None:
    results = example_results(models=1, lengths=[10, 20, 40], seeds=1, units=8)
    axes = singular_spectrum_map(with_series(results.table), legend=False).axes[0]
    corners = sum(np.asarray(patch.get_path().vertices).shape[0] for patch in axes.patches)
    sigma = with_series(results.table)
    runs = spectrum_runs(sigma[sigma["quantity"] == "log_sigma"])
    assert corners == 5 * len(runs)
    assert axes.get_xlim() == (0, 3)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["40", "20", "10"]


def test_attribution_adds_up_over_the_steps_and_over_the_parts() -> None:
    table = frame.concatenate(
        [
            attribution("a", (0.5, -1.5, 0.25)),
            attribution("a", (0.5, -2.5, 0.25), sequence=1),
            attribution("a", (9.0, 9.0, np.nan), sequence=2),
            attribution("a", (9.0, 9.0, 9.0), sequence=3, resolved=False),
        ]
    )
    sums = attribution_sums(with_series(table))
    steps = np.arange(5.0)
    np.testing.assert_allclose(sums["total"], -1.25 * steps)
    np.testing.assert_allclose(sums["log_growth_activation"], -2.0 * steps)
    np.testing.assert_allclose(sums[list(PARTS)].sum(axis=1), sums["total"])
    assert sums["runs"].unique().tolist() == sums["left_out"].unique().tolist() == [2]


def test_areas_reach_as_far_as_the_parts() -> None:
    figure = decay_areas(with_series(attribution("a", (0.5, -1.5, -0.25))), legend=False)
    areas = [area.get_paths()[0].vertices for area in figure.axes[0].collections]
    heights = np.concatenate([np.asarray(vertices)[:, 1] for vertices in areas])
    assert heights.max() == pytest.approx(4 * 0.5)
    assert heights.min() == pytest.approx(-4 * 1.75)


def test_attribution_in_words() -> None:
    table = frame.concatenate(
        [attribution("a", (0.5, -1.5, 0.0)), attribution("b", (0.5, 0.0, 1.0))]
    )
    first, second = attribution_sentences(with_series(table))
    assert first.striptags() == (
        "The leading direction of b grows by e6.00 over 4 steps, most by the carry (4.00; "
        "recurrent matrix 2.00; the mean of 1 run)."
    )
    assert "a shrinks by e−4.00 over 4 steps, most by the activation (−6.00;" in second.striptags()


def test_the_sign_of_the_largest_exponent_needs_twice_its_error() -> None:
    table = frame.concatenate(
        [
            exponents("chaotic", [0.2, -1.0]),
            exponents("calm", [-0.2, -1.0]),
            exponents("open", [0.2, -1.0], error=0.11),
        ]
    )
    told = lyapunov_sentence(with_series(table)).striptags()
    assert told == (
        "The largest Lyapunov exponent is positive, so that the dynamics is chaotic, in chaotic "
        "(0.2); it is negative in calm (−0.2); it is of a sign that is not certain in open (0.2)."
    )
    line = lyapunov_spectrum(with_series(exponents("a", [0.5, 0.25, -1.0]))).axes[0].get_lines()[0]
    np.testing.assert_allclose(np.asarray(line.get_ydata(), dtype=float), [0.5, 0.25, -1.0])


def test_costs_are_seconds_over_steps_with_their_range() -> None:
    size = frame.rows(
        model="a", task="t", seed=range(3), iteration=0, probe="size", quantity="total", value=77.0
    )
    losses = frame.rows(
        model="a", task="t", seed=range(3), iteration=50, probe="training", quantity="test_loss",
        value=1.0,
    )  # fmt: skip
    probed = frame.rows(model="b", task="t", seed=0, length=[10, 20], probe="gradient_norm")
    cells = [ExampleCell("a", "t", seed, seconds=100.0 * (seed + 1)) for seed in range(3)]
    cells += [ExampleCell("b", "t", 0, seconds=5.0), ExampleCell("c", "t", 0, seconds=None)]
    found = costs(frame.concatenate([size, losses, probed]), cells)
    assert found.to_dict("list") == {
        "model": ["a", "b"],
        "task": ["t", "t"],
        "unit": ["training iteration", "time step"],
        "seconds": [4.0, 0.25],
        "low": [2.0, 0.25],
        "high": [6.0, 0.25],
        "cells": [3, 1],
        "parameters": [77.0, pytest.approx(np.nan, nan_ok=True)],
    }
    first, second = cost_of_models(found.iloc[:1]).axes
    assert np.asarray(first.get_lines()[1].get_xdata())[0] == 4.0
    assert np.asarray(second.get_lines()[0].get_xdata())[0] == 77.0


def page(table: pd.DataFrame, labels: list[str]) -> Page:
    results = example_results(models=1, lengths=[4], seeds=1, units=2)
    cells = [ExampleCell(label, "digits", 0) for label in labels]
    return Page(build_report(ExampleResults(results.study, table, cells)))


def test_sections_stand_on_the_page_only_where_their_probe_was_used() -> None:
    told = page(
        frame.concatenate([attribution("<b>", (0.5, -1.5, 0.0)), exponents("<b>", [0.1])]), ["<b>"]
    )
    assert {"attribution", "lyapunov", "cost"} <= set(told.ids)
    assert not {"spectrum-map", "gradient", "summary"} & set(told.ids)
    assert "The leading direction of <b> shrinks" in told.text("answer")
    plain = Page(build_report(example_results(models=1, lengths=[4, 8], seeds=1, units=2)))
    assert "spectrum-map" in plain.ids
    assert not {"attribution", "lyapunov"} & set(plain.ids)


def test_results_without_times_have_no_costs() -> None:
    results = example_results(models=1, lengths=[4], seeds=1, units=2)
    cells = [replace(cell, seconds=None) for cell in results.cells]
    assert "cost" not in Page(build_report(replace(results, cells=cells))).ids
