"""Curves with bands: the drawing that the figures over time share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import seaborn as sns

from gradprobe.reports.figures.ends import End, label_ends
from gradprobe.reports.figures.rail import add_rail, limits
from gradprobe.reports.figures.style import UNRESOLVED, look, marked
from gradprobe.reports.series import position

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes

    from gradprobe.reports.figures.style import Look

BAND_POINTS = 80
"""A band is drawn through this many of its steps at most; lines are simplified by matplotlib."""

_MARKS = 8


def draw_curves(
    axes: Axes,
    band: pd.DataFrame,
    *,
    at_least: tuple[float, float],
    window: tuple[float, float] | None = None,
    room: float,
    labels: Mapping[str, str] | None = None,
) -> None:
    """Draw the median of every series over ``x`` with its band, and label the lines.

    Parameters
    ----------
    axes
        Where to draw.
    band
        Columns ``series`` (categorical: its codes choose the looks), ``x`` (increasing),
        ``median``, ``low``, ``high``, ``resolved``.
    at_least
        Heights that must be visible.
    window
        Heights to show in place of all; lines that end outside are not labelled.
    room
        Width for the labels.
    labels
        What is written at the ends of the lines; the names of the series if None.
    """
    heights = band[["median", "low", "high"]].to_numpy(dtype=float)
    axes.set_ylim(window or limits(heights, at_least))
    axes.set_xlim(band["x"].min(), max(band["x"].max(), band["x"].min() + 1))
    rail = add_rail(axes) if window is None and np.isneginf(heights).any() else None
    ends = []
    for name, rows in band.groupby("series", observed=True):
        style = look(position(band, str(name)))
        with marked(axes, str(name)):
            draw_curve(axes, rows, style, rail)
        last = float(rows["median"].iloc[-1])
        height = rail if rail is not None and last == -np.inf else last
        if np.isfinite(height) and (window is None or window[0] <= height <= window[1]):
            label = (labels or {}).get(str(name), str(name))
            ends.append(End(label, height, style, str(name)))
    label_ends(axes, ends, room)


def draw_curve(axes: Axes, rows: pd.DataFrame, style: Look, rail: float | None) -> None:
    """Draw one curve: a line where it is resolved, hollow marks where not, −∞ on the rail."""
    draw_band(axes, rows, style.colour)
    finite = np.isfinite(rows["median"])
    sound = rows[finite & rows["resolved"]]
    if len(sound):
        pieces = (rows.index.to_series().loc[sound.index].diff() != 1).cumsum()
        sns.lineplot(
            data=sound.assign(piece=pieces),
            x="x",
            y="median",
            units="piece",
            estimator=None,
            color=style.colour,
            linestyle=style.dashes,
            ax=axes,
            legend=False,
        )
    draw_unresolved(axes, rows[finite & ~rows["resolved"]], style.marker)
    if rail is not None:
        zeros = rows[np.isneginf(rows["median"])].assign(median=rail)
        marks = zeros.iloc[:: max(-(-len(zeros) // _MARKS), 1)]
        axes.plot(marks["x"], marks["median"], style.marker, color=style.colour, markersize=4)
    axes.set(xlabel="", ylabel="")


def draw_band(axes: Axes, rows: pd.DataFrame, colour: str) -> None:
    """Fill between ``low`` and ``high`` where both are finite."""
    finite = rows[np.isfinite(rows["low"]) & np.isfinite(rows["high"])]
    if len(finite) < 2 or (finite["low"] == finite["high"]).all():
        return
    stride = -(-len(finite) // BAND_POINTS)
    thin = finite[(np.arange(len(finite)) % stride == 0) | (finite["x"] == finite["x"].max())]
    axes.fill_between(
        thin["x"].astype(float), thin["low"], thin["high"], color=colour, alpha=0.18, linewidth=0
    )


def draw_unresolved(axes: Axes, rows: pd.DataFrame, marker: str = "o") -> None:
    """Draw values that the arithmetic could not determine: hollow and grey."""
    if not len(rows):
        return
    marks = rows.iloc[:: -(-len(rows) // _MARKS)]
    axes.plot(rows["x"], rows["median"], color=UNRESOLVED, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.plot(
        marks["x"],
        marks["median"],
        marker,
        markersize=4,
        markerfacecolor="none",
        markeredgecolor=UNRESOLVED,
        markeredgewidth=1,
    )
