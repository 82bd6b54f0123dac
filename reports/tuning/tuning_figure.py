"""The figure: what each candidate learned, over what the score said before any training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes

INK, MUTED, GRID, WITHIN, BEYOND = "#22262b", "#646b73", "#d8dce1", "#1f5fa8", "#b3203a"
NAMES = {"tuning_digits": "AntisymmetricRNN", "tuning_adding": "AntisymmetricRNN"}
SETTINGS: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
    "svg.hashsalt": "gradprobe",
    "svg.fonttype": "path",
}
LINEAR = 0.02
"""Scores up to here are drawn on a linear scale, greater ones on a logarithmic one."""


def save(scores: pd.DataFrame, runs: pd.DataFrame, defaults: dict[str, str], folder: Path) -> None:
    """Draw outcome.svg and outcome.png."""
    with mpl.rc_context(SETTINGS):
        figure = draw(scores, runs, defaults)
        for suffix, metadata in (("svg", {"Date": None}), ("png", {})):
            path = folder / f"outcome.{suffix}"
            figure.savefig(path, dpi=140, facecolor="white", metadata=metadata)


def draw(scores: pd.DataFrame, runs: pd.DataFrame, defaults: dict[str, str]) -> Figure:
    """Return the figure: a panel for each study and task that was trained."""
    groups = list(runs.groupby(["study", "task"], sort=False))
    columns = min(2, len(groups))
    rows = -(-len(groups) // columns)
    figure = Figure(figsize=(5.5 * columns, 4.1 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, ((study, task), mine) in zip(panels, groups, strict=False):
        ranked = scores[(scores["study"] == study) & (scores["task"] == task)]
        _panel(panel, ranked, mine, defaults[str(study)])
        panel.set_title(f"{NAMES.get(str(study), 'LSTM')} on {task}", loc="left", fontsize=10)
    for panel in panels[len(groups) :]:
        panel.set_visible(False)
    _legend(figure)
    return figure


def _panel(axes: Axes, ranked: pd.DataFrame, runs: pd.DataFrame, default: str) -> None:
    metric = str(runs["metric"].iloc[0])
    outcomes = runs.groupby("model")["test"].agg(["median", "min", "max"])
    for row in ranked.to_dict("records"):
        middle, low, high = outcomes.loc[row["model"]]
        colour = WITHIN if row["within_bound"] else BEYOND
        axes.errorbar(
            [row["score"]],
            [middle],
            xerr=[[row["score"] - row["score_low"]], [row["score_high"] - row["score"]]],
            yerr=[[middle - low], [high - middle]],
            fmt="o" if row["within_bound"] else "X",
            color=colour,
            markersize=6.5,
            elinewidth=0.8,
            markeredgecolor="white",
            markeredgewidth=0.6,
        )
        mark = "default" if row["model"] == default else ""
        mark = "suggested" if row["rank"] == 1 else mark
        if mark:
            axes.annotate(mark, (row["score"], middle), xytext=(6, 6), textcoords="offset points")
    axes.set_xscale("symlog", linthresh=LINEAR)
    ticks = [tick for tick in (-0.02, 0, 0.02, 0.1, 1) if tick <= max(0.1, ranked["score"].max())]
    axes.set_xticks(ticks, [f"{tick:g}".replace("-", "−") for tick in ticks])
    axes.set_xlabel("score before any training (explained variance)")
    if metric == "accuracy":
        axes.set_ylabel("test accuracy, %")
    else:
        axes.set_yscale("log")
        axes.invert_yaxis()
        axes.set_ylabel("test mean squared error, less is up")


def _legend(figure: Figure) -> None:
    marks = [
        Line2D([], [], color=colour, marker=marker, linestyle="", label=label)
        for colour, marker, label in (
            (WITHIN, "o", "within the bound of 10"),
            (BEYOND, "X", "beyond it"),
        )
    ]
    figure.legend(handles=marks, loc="outside lower center", ncols=2, frameon=False)
