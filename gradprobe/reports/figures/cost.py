"""What each model costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator

from gradprobe.reports.costs import cost_names
from gradprobe.reports.figures.style import (
    INK,
    axes_within,
    drawing,
    look,
    marked,
    pixels,
)
from gradprobe.reports.numbers import printable, shorten, significant

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gradprobe.reports.figures.style import Look

_ROW = 34.0
_CHARACTER = 6.7
_GAP = 30.0


def cost_of_models(
    rows: pd.DataFrame,
    order: Sequence[str] = (),
    *,
    width: float = 760,
    room: float = 24,
) -> Figure:
    """Draw the seconds per step of each model, and its parameters where these are known.

    The fastest model is on top; lines reach from the fastest to the slowest seed; both axes are
    logarithmic.

    Parameters
    ----------
    rows
        Of `gradprobe.reports.costs.costs`, of one unit.
    order
        Models in the order of the study, which gives them their colours.
    width
        In CSS pixels; the height grows with the number of models.
    room
        Width at the right.

    Examples
    --------
    >>> from gradprobe.reports.costs import costs
    >>> from gradprobe.reports.example import example_results
    >>> results = example_results(models=3, lengths=[10])
    >>> cost_of_models(costs(results.table, results.cells)).axes[0].get_xlabel()
    'seconds per time step'
    """
    rows = rows.sort_values("seconds", kind="stable", ignore_index=True)
    models = list(dict.fromkeys([*order, *rows["model"]]))
    known = bool(np.isfinite(rows["parameters"].astype(float)).any())
    share = (width - 28 - min(room, 24) - _GAP * known) / (1 + known)
    with drawing():
        figure = pixels(width, _ROW * len(rows) + 66)
        first = axes_within(figure, left=14, right=width - 14 - share, bottom=52, top=8)
        _scale(first, len(rows))
        first.set_xlabel(f"seconds per {rows['unit'].iloc[0]}")
        columns = [("seconds", first)]
        if known:
            second = axes_within(
                figure, left=14 + share + _GAP, right=min(room, 24) + 14, bottom=52, top=8
            )
            _scale(second, len(rows))
            second.set_xlabel("parameters")
            columns.append(("parameters", second))
        names = cost_names(rows)
        for place, (_, row) in enumerate(rows.iterrows()):
            style = look(models.index(row["model"]))
            for column, axes in columns:
                _mark(axes, row, column, place, style)
            _name(first, place, names[place], width - 28)  # above the marks of both columns
        for column, axes in columns:
            _limits(axes, rows, column)
    return figure


def _scale(axes: Axes, count: int) -> None:
    axes.set_xscale("log")
    axes.set_ylim(count, 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _mark(axes: Axes, row: pd.Series[Any], column: str, place: int, style: Look) -> None:
    with marked(axes, str(row["model"])):
        y = place + 0.72
        if column == "seconds" and row["low"] < row["high"]:
            axes.plot([row["low"], row["high"]], [y, y], color=style.colour)
        axes.plot([row[column]], [y], style.marker, color=style.colour, markersize=7)


def _name(axes: Axes, place: int, name: str, width: float) -> None:
    text = shorten(printable(name), max(int(width / _CHARACTER), 8))
    axes.text(
        0,
        place + 0.3,
        text,
        transform=axes.get_yaxis_transform(),
        verticalalignment="center",
        fontsize=11,
        color=INK,
    )


def _limits(axes: Axes, rows: pd.DataFrame, column: str) -> None:
    """Show all values and at least a decade, so that small differences look small."""
    low = rows["low" if column == "seconds" else column].astype(float).min()
    high = rows["high" if column == "seconds" else column].astype(float).max()
    middle, half = np.log10(low * high) / 2, max(np.log10(high / low) * 0.56, 0.5)
    axes.set_xlim(10 ** (middle - half), 10 ** (middle + half))
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0) if half < 1 else (1.0,), numticks=6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: significant(value, 1)))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda _value, _place: ""))
