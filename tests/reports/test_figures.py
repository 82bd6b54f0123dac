"""Figures: what is drawn, against the table; and that drawing leaves no trace elsewhere."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from importlib import resources
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot
from matplotlib.figure import Figure

from gradprobe.reports import figures
from gradprobe.reports.example import example_results
from gradprobe.reports.figures import style
from gradprobe.reports.figures.eigenvalues import eigenvalues, step_size
from gradprobe.reports.figures.ends import spread_out
from gradprobe.reports.series import with_series
from gradprobe.reports.svg import inline_svg

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

TABLE = with_series(example_results(units=8, lengths=(20, 60)).table)
DRAWN: dict[str, Callable[[pd.DataFrame], Figure]] = {
    "forward": figures.gradient_norm,
    "backward": lambda table: figures.gradient_norm(table, "tail"),
    "spectrum": figures.singular_spectrum,
    "plane": figures.eigenvalue_plane,
    "real": figures.largest_real_part,
}


@pytest.mark.parametrize("name", DRAWN)
def test_drawing_leaves_no_global_state(name: str) -> None:
    before = dict(mpl.rcParams)
    figure = DRAWN[name](TABLE)
    inline_svg(figure, "a", "b", "c")
    assert isinstance(figure, Figure)
    assert pyplot.get_fignums() == []
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", DRAWN)
def test_equal_tables_give_equal_svg(name: str) -> None:
    first, second = (inline_svg(DRAWN[name](TABLE.copy()), "a", "b", "c") for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", DRAWN)
def test_svg_has_no_colour_without_a_role_and_no_foreign_font(name: str) -> None:
    text = str(inline_svg(DRAWN[name](TABLE), "a", "b", "c"))
    colours = set(re.findall(r"(var\(--[\w-]+,)?(#[0-9a-f]{6})", text))
    assert colours
    assert all(role for role, _ in colours)
    assert "font-family" not in text
    assert "<style" not in text
    assert "date" not in text.lower()


def test_ids_carry_the_prefix_and_references_lead_somewhere() -> None:
    root = ET.fromstring(inline_svg(DRAWN["spectrum"](TABLE), "panel-7", "b", "c"))  # noqa: S314
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    assert all(identifier.startswith("panel-7-") for identifier in ids)
    text = ET.tostring(root, encoding="unicode")
    references = set(re.findall(r"url\(#([^)]+)\)|href=\"#([^\"]+)\"", text))
    assert {one or other for one, other in references} <= set(ids)


def lines_of(figure: Figure, points: int) -> list[np.ndarray]:
    drawn = [np.asarray(line.get_xydata()) for line in figure.axes[0].get_lines()]
    return [line for line in drawn if len(line) == points]


def test_gradient_norm_draws_the_medians() -> None:
    figure = figures.gradient_norm(TABLE)
    drawn = lines_of(figure, 61)
    assert len(drawn) == 9
    for line, model in zip(drawn, TABLE["series"].cat.categories, strict=True):
        rows = TABLE[(TABLE["model"] == model) & (TABLE["quantity"] == "log_norm_fro")]
        rows = rows[rows["matrix"] == "end_to_end"]
        medians = rows.groupby("step")["value"].median().to_numpy() - 0.5 * np.log(8)
        np.testing.assert_allclose(line[:, 1], medians, atol=1e-12)


def test_tail_runs_back_from_the_end() -> None:
    line = lines_of(figures.gradient_norm(TABLE, "tail"), 61)[0]
    rows = TABLE[(TABLE["model"] == "vanilla") & (TABLE["matrix"] == "tail")]
    rows = rows[(rows["length"] == 60) & (rows["step"] == 55)]
    assert line[5, 0] == 5
    assert line[5, 1] == pytest.approx(rows["value"].median() - 0.5 * np.log(8), abs=1e-12)


def test_unresolved_values_are_hollow_and_grey() -> None:
    axes = figures.singular_spectrum(TABLE[TABLE["model"] == "LSTM, forget bias 5"]).axes[0]
    grey = [line for line in axes.get_lines() if line.get_markeredgecolor() == style.UNRESOLVED]
    hollow = [line for line in grey if line.get_marker() == "o"]
    assert len(hollow) == 2
    assert all(line.get_markerfacecolor() == "none" for line in hollow)
    ranks = TABLE[(TABLE["model"] == "LSTM, forget bias 5") & ~TABLE["resolved"]]["rank"] / 8
    for line in hollow:
        assert set(np.asarray(line.get_xdata())) == set(ranks)


def test_unresolved_steps_interrupt_the_line() -> None:
    rows = TABLE[TABLE["model"] == "GRU"].copy()
    doubtful = rows["step"].between(20, 30) & (rows["quantity"] == "log_norm_fro")
    rows.loc[doubtful, "resolved"] = False
    lines = figures.gradient_norm(rows).axes[0].get_lines()
    pieces = [line for line in lines if line.get_color() == style.look(3).colour]
    assert [len(np.asarray(line.get_xdata())) for line in pieces[:2]] == [20, 30]
    hollow = [line for line in lines if line.get_markeredgecolor() == style.UNRESOLVED]
    steps = {step for line in hollow for step in np.asarray(line.get_xdata())}
    assert steps == set(range(20, 31))


def test_zeros_stand_on_a_marked_rail_below_everything_else() -> None:
    axes = figures.singular_spectrum(TABLE[TABLE["model"] == "unstable"]).axes[0]
    labels = {
        label.get_text(): tick
        for label, tick in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True)
    }
    rail = labels["\N{MINUS SIGN}∞"]
    zeros = [line for line in axes.get_lines() if line.get_marker() == "v"]
    assert len(zeros) == 2
    assert all((np.asarray(line.get_ydata()) == rail).all() for line in zeros)
    finite = TABLE[(TABLE["model"] == "unstable") & (TABLE["quantity"] == "log_sigma")]["value"]
    assert rail < finite[np.isfinite(finite)].min()


@pytest.mark.parametrize("epsilon", [0.001, 0.01, 0.5, 1.0])
def test_step_size_is_recovered_from_the_moduli(epsilon: float) -> None:
    generator = np.random.default_rng(3)
    z = generator.normal(size=40) + 1j * generator.normal(size=40)
    points = (
        eigenvalues(TABLE)
        .head(40)
        .assign(real=z.real, imag=z.imag, modulus=np.abs(1 + epsilon * z))
    )
    assert step_size(points) == pytest.approx(epsilon, rel=1e-9)
    assert step_size(points.assign(modulus=np.abs(z) + 3)) is None


@pytest.mark.parametrize("epsilon", [0.01, 0.5])
def test_euler_boundary_is_where_a_step_keeps_its_length(epsilon: float) -> None:
    rows = TABLE[TABLE["model"] == "AntisymmetricRNN, γ = 0"].copy()
    points = eigenvalues(rows).set_index(["seed", "sequence", "rank"])
    z = points["real"] + 1j * points["imag"]
    modulus = np.abs(1 + epsilon * z)
    is_modulus = rows["quantity"] == "euler_modulus"
    keys = list(rows.loc[is_modulus, ["seed", "sequence", "rank"]].itertuples(index=False))
    rows.loc[is_modulus, "value"] = [modulus[tuple(key)] for key in keys]
    axes = figures.eigenvalue_plane(rows).axes[0]
    boundary = lines_of(axes.figure, 181)[0]  # type: ignore[arg-type]
    np.testing.assert_allclose(np.abs(1 + epsilon * boundary @ [1, 1j]), 1, atol=1e-12)
    assert np.abs(boundary[:, 1]).max() > 1.9


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30),
    st.floats(0.1, 30),
)
def test_labels_keep_their_order_their_distance_and_the_room(
    heights: list[float], spacing: float
) -> None:
    placed = spread_out(heights, spacing, -500.0, 500.0)
    assert min(placed) >= -500 - 1e-6
    assert max(placed) <= 500 + 1e-6
    order = np.argsort(heights, kind="stable")
    gaps = np.diff(np.asarray(placed)[order])
    room = min(spacing, 1000 / max(len(heights) - 1, 1))
    assert (gaps >= room - 1e-6).all()


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=20, unique=True))
def test_labels_that_are_far_apart_stay_where_they_are(places: list[int]) -> None:
    heights = [20.0 * place for place in places]
    assert spread_out(heights, 15.0, -500.0, 500.0) == pytest.approx(heights)


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(one: str, other: str) -> float:
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def css_colours() -> list[dict[str, str]]:
    css = (resources.files("gradprobe.reports") / "templates" / "report.css").read_text("utf-8")
    light, dark = css.split("@media (prefers-color-scheme: dark)")
    return [dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6})", part)) for part in (light, dark)]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_can_be_seen_on_the_page(scheme: int) -> None:
    colours = css_colours()[scheme]
    assert set(style.ROLES.values()) <= set(colours)
    for name, colour in colours.items():
        if name.startswith(("--series", "--length", "--unresolved")):
            assert contrast(colour, colours["--paper"]) >= 3, name
        if name in {"--ink", "--muted", "--link", "--warning"}:
            assert contrast(colour, colours["--paper"]) >= 4.5, name


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_one_model_and_one_seed_can_be_drawn(draw: Callable[[pd.DataFrame], Figure]) -> None:
    results = example_results(models=5, seeds=1, sequences=1, units=1, lengths=(1,))
    table = with_series(results.table)
    assert inline_svg(draw(table[table["model"] == "AntisymmetricRNN, γ = 0"]), "a", "b", "c")
