"""Figures of trainings and trajectories: what is drawn, against the table."""

from __future__ import annotations

import re
from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

from gradprobe.reports import figures
from gradprobe.reports.example_trainings import (
    example_dynamics,
    example_moduli,
    example_trainings,
)
from gradprobe.reports.figures import style
from gradprobe.reports.portraits import distances, portraits
from gradprobe.reports.series import position
from gradprobe.reports.survival import relations
from gradprobe.reports.svg import inline_svg
from gradprobe.reports.trainings import at_the_end, training_rows, trainings

RESULTS = example_trainings(tasks=["digits"])
ROWS = training_rows(RESULTS.table)
RELATION = relations(RESULTS.table, trainings(RESULTS.table, RESULTS.cells))[0]
MODULI = at_the_end(example_moduli().table)
EVERY = portraits(example_dynamics(seeds=2).table)
FAILED = [("LSTM", length) for length in (100, 200, 400, 800)]

DRAWN: dict[str, Callable[[], Figure]] = {
    "learning": lambda: figures.learning_curve(ROWS),
    "survival": lambda: figures.accuracy_against_gradient(RELATION.points, length=400),
    "moduli": lambda: figures.eigenvalue_moduli(MODULI, failed=FAILED),
    "portraits": lambda: figures.phase_portraits(EVERY),
    "bare portraits": lambda: figures.phase_portraits(EVERY, bare=True),
    "distance": lambda: figures.distance_from_origin(distances(EVERY)),
}


@pytest.mark.parametrize("name", DRAWN)
def test_drawing_leaves_no_global_state_and_no_colour_without_a_role(name: str) -> None:
    before = dict(mpl.rcParams)
    figure = DRAWN[name]()
    text = str(inline_svg(figure, "a", "b", "c"))
    assert isinstance(figure, Figure)
    assert pyplot.get_fignums() == []
    assert dict(mpl.rcParams) == before
    colours = set(re.findall(r"(var\(--[\w-]+,)?(#[0-9a-f]{6})", text))
    assert colours
    assert all(role for role, _ in colours)
    assert inline_svg(DRAWN[name](), "a", "b", "c") == text


def lines_of(figure: Figure, colour: str) -> list[np.ndarray]:
    lines = figure.axes[0].get_lines()
    return [np.asarray(line.get_xydata()) for line in lines if line.get_color() == colour]


@pytest.mark.parametrize(("quantity", "scale"), [("validation_accuracy", 100), ("train_loss", 1)])
def test_a_learning_curve_is_the_median_over_seeds(quantity: str, scale: float) -> None:
    figure = figures.learning_curve(ROWS, quantity)
    mine = RESULTS.table[RESULTS.table["model"] == "LSTM"]
    medians = scale * mine[mine["quantity"] == quantity].groupby("iteration")["value"].median()
    line = lines_of(figure, style.look(0).colour)[0]
    assert line[:, 0] == pytest.approx(medians.index.to_numpy(dtype=float))
    assert line[:, 1] == pytest.approx(medians.to_numpy())


def test_a_cross_marks_where_a_training_diverged() -> None:
    axes = figures.learning_curve(ROWS).axes[0]
    crosses = [line for line in axes.get_lines() if line.get_marker() == "x"]
    assert [np.asarray(line.get_xdata()).tolist() for line in crosses] == [[500.0]]
    assert crosses[0].get_color() == style.look(position(ROWS, "Ablation")).colour


def test_a_loss_that_blows_up_does_not_flatten_the_others() -> None:
    rows = ROWS.copy()
    burst = (rows["quantity"] == "train_loss") & (rows["model"] == "Ablation")
    rows.loc[burst & (rows["iteration"] == 500), "value"] = 1e9
    low, high = figures.learning_curve(rows, "train_loss").axes[0].get_ylim()
    assert -1 < low < 0
    assert 2 < high < 10


def test_a_single_validation_is_marked() -> None:
    rows = ROWS[(ROWS["iteration"] == 1000) & (ROWS["model"] == "LSTM")]
    axes = figures.learning_curve(rows).axes[0]
    assert [line for line in axes.get_lines() if line.get_marker() == "o"]


def test_each_training_is_a_mark_at_its_gain_and_accuracy() -> None:
    figure = DRAWN["survival"]()
    names = list(dict.fromkeys(RELATION.points["model"]))
    drawn = 0
    for number, name in enumerate(names):
        mine = RELATION.points[RELATION.points["model"] == name]
        marks = lines_of(figure, style.look(number).colour)[0]
        assert marks[:, 0] == pytest.approx(-np.log10(1 + mine["gain"].abs().to_numpy()))
        known = mine["test"].notna().to_numpy()
        assert marks[known, 1] == pytest.approx(mine["test"].dropna().to_numpy())
        assert (marks[~known, 1] < 0).all()
        drawn += len(marks)
    assert drawn == len(RELATION.points) == 10


def test_a_gradient_of_zero_stands_left_of_all_others() -> None:
    points = RELATION.points.copy()
    points.loc[points["model"] == "LSTM", "gain"] = -np.inf
    figure = figures.accuracy_against_gradient(points, length=400)
    names = list(dict.fromkeys(points["model"]))
    places = {n: lines_of(figure, style.look(i).colour)[0][:, 0] for i, n in enumerate(names)}
    assert places["LSTM"].max() < min(x.min() for n, x in places.items() if n != "LSTM")
    assert "∞" in [label.get_text() for label in figure.axes[0].get_xticklabels()]


def test_moduli_that_come_from_no_learning_are_crosses_at_their_length() -> None:
    figure = figures.eigenvalue_moduli(MODULI, failed=FAILED[:2])
    crosses = [line for line in figure.axes[0].get_lines() if line.get_marker() == "x"]
    drawn = np.concatenate([np.asarray(line.get_xydata()) for line in crosses])
    expected = MODULI[(MODULI["quantity"] == "log_mean_modulus") & (MODULI["model"] == "LSTM")]
    medians = expected.groupby("length")["value"].median()
    assert drawn[:, 0].tolist() == [100, 200]
    assert drawn[:, 1] == pytest.approx(medians.loc[[100, 200]].to_numpy())
    names = [text.get_text() for text in figure.axes[0].texts]
    assert "LSTM" in names  # it learned at two lengths
    assert "✗ LSTM" in [t.get_text() for t in DRAWN["moduli"]().axes[0].texts]


def test_a_portrait_shows_every_state_within_its_frame() -> None:
    portrait = EVERY[-1]
    axes = figures.phase_portraits([portrait]).axes[0]
    low, high = axes.get_xlim()
    inside = portrait.paths[1:][(np.abs(portrait.paths[1:]) <= high).all(axis=-1)]
    stars = [line for line in axes.get_lines() if line.get_marker() == "*"]
    starts = [np.asarray(line.get_xydata())[0] for line in stars]
    assert np.allclose(sorted(map(tuple, starts)), sorted(map(tuple, portrait.paths[0])))
    paths = [np.asarray(patch.get_path().vertices)[::2] for patch in axes.patches]
    dots = np.concatenate([path for path in paths if len(path) <= 10])
    assert 0.9 * len(inside) <= len(dots) <= len(inside)
    reach = 2e-3 * (high - low)
    distance = np.abs(dots[:, None] - inside[None]).max(axis=-1).min(axis=1)
    assert distance.max() < reach


def test_arrows_point_along_the_vector_field() -> None:
    portrait = EVERY[-1]
    assert portrait.mesh is not None
    assert portrait.velocity is not None
    axes = figures.phase_portraits([portrait]).axes[0]
    segments = max((np.asarray(p.get_path().vertices) for p in axes.patches), key=len)
    shafts = segments[: 2 * len(portrait.mesh)].reshape(-1, 2, 2)
    assert shafts.mean(axis=1) == pytest.approx(portrait.mesh, abs=1e-12)
    ratio = (shafts[:, 1] - shafts[:, 0]) @ [1, 1j] / (portrait.velocity @ [1, 1j] + 1e-300)
    moving = np.abs(portrait.velocity).max(axis=1) > 0
    assert np.allclose(ratio[moving], ratio[moving][0].real, atol=1e-12)
    assert ratio[moving][0].real > 0
