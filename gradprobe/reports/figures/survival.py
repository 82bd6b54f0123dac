"""Accuracy against the survival of the gradient at initialisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradprobe.reports.figures.markers import LINE, markers_below, markers_beside
from gradprobe.reports.figures.style import MUTED, axes_within, drawing, look, marked, pixels
from gradprobe.reports.verdicts import KEPT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

_TICKS = (0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000)
_NARROW = 500
_RAIL = -8.0
"""Height, in percent, at which diverged trainings are drawn."""


def accuracy_against_gradient(
    points: pd.DataFrame,
    order: Sequence[str] = (),
    *,
    length: int,
    width: float = 760,
    height: float = 380,
    room: float = 265,
) -> Figure:
    """Draw the test accuracy of each training over −|log gain| at its initialisation.

    To the right the gradient keeps its size, to the left it shrinks or grows; the axis is
    logarithmic in 1 + |log gain|.  Diverged trainings stand on a marked rail.

    Parameters
    ----------
    points
        Of a `gradprobe.reports.survival.Relation`.
    order
        Models in the order of the study, which gives them their colours.
    length
        T, over which the gain was measured.
    width, height
        Size in CSS pixels.
    room
        Width at the right for the names; below the drawing where it is narrow.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_trainings
    >>> from gradprobe.reports.survival import relations
    >>> from gradprobe.reports.trainings import trainings
    >>> results = example_trainings()
    >>> relation = relations(results.table, trainings(results.table, results.cells))[0]
    >>> figure = accuracy_against_gradient(relation.points, length=relation.length)
    >>> figure.axes[0].get_ylabel()
    'test accuracy, %'
    """
    names = list(dict.fromkeys([*order, *points["model"]]))
    shown = [name for name in names if name in set(points["model"])]
    medians = points.groupby("model")["test"].median()
    ranked = sorted(shown, key=lambda name: -medians.fillna(-1.0)[name])
    entries = [(name, look(names.index(name))) for name in ranked]
    narrow = width < _NARROW
    below = LINE * len(entries) + 12 if narrow else 0
    with drawing():
        figure = pixels(width, max(height, LINE * len(entries) + 70) + below)
        left = 94 if points["test"].isna().any() else 64  # room for the word "diverged"
        axes = axes_within(figure, left=left, right=room, bottom=48 + below, top=14)
        _scales(axes, points, length, narrow=narrow)
        for name, style in entries:
            with marked(axes, name):
                _draw(axes, points[points["model"] == name], style.marker, style.colour)
        (markers_below if narrow else markers_beside)(axes, entries, 364 - left if narrow else room)
    return figure


def _place(gain: NDArray[np.float64], infinite: float) -> NDArray[np.float64]:
    """Return where a gain stands: 0 for 0, to the left of it otherwise."""
    return np.where(np.isinf(gain), infinite, -np.log10(1 + np.abs(gain)))


def _scales(axes: Axes, points: pd.DataFrame, length: int, *, narrow: bool) -> None:
    size = points["gain"].abs().to_numpy(dtype=float)
    finite = size[np.isfinite(size)]
    most = max(float(finite.max(initial=0.0)), 3.0)
    ticks = [tick for tick in _TICKS if tick <= 1.5 * most]
    places = [-np.log10(1 + tick) for tick in ticks]
    labels = [f"{tick:,}" for tick in ticks]
    left = -np.log10(1 + most) - 0.15
    if np.isinf(size).any():
        left -= 0.3
        places.append(left + 0.1)
        labels.append("∞")
    axes.set_xticks(places, labels)
    axes.set_xlim(left, 0.12)
    axes.axvspan(-np.log10(1 + KEPT), 0.12, color="#dcebe2", linewidth=0)
    diverged = bool(points["test"].isna().any())
    top = min(100.0, 1.12 * float(points["test"].fillna(0).max()) + 3)
    axes.set_ylim(_RAIL - 4 if diverged else 0, top)
    if diverged:
        axes.axhline(_RAIL, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
        ticks_up = [tick for tick in axes.get_yticks() if 0 <= tick <= top]
        axes.set_yticks([*ticks_up, _RAIL], [*(f"{tick:g}" for tick in ticks_up), "diverged"])
    where = "" if narrow else " (to the right it survives)"
    axes.set(xlabel=f"|log gain| over {length:,} steps{where}", ylabel="test accuracy, %")


def _draw(axes: Axes, rows: pd.DataFrame, marker: str, colour: str) -> None:
    infinite = axes.get_xlim()[0] + 0.1
    x = _place(rows["gain"].to_numpy(dtype=float), infinite)
    y = rows["test"].fillna(_RAIL).to_numpy(dtype=float)
    axes.plot(x, y, marker, color=colour, markersize=7, alpha=0.85, clip_on=False, zorder=3)
