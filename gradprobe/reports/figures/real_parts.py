"""The largest real part over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe.reports.figures.curves import draw_curves
from gradprobe.reports.figures.ends import height_for
from gradprobe.reports.figures.style import MUTED, axes_within, drawing, pixels
from gradprobe.reports.series import bands, present, select

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def largest_real_part(
    table: pd.DataFrame,
    matrix: str = "vector_field",
    *,
    width: float = 760,
    height: float = 300,
    room: float = 265,
) -> Figure:
    """Draw max Re λ(F_t), or of J_t, over a sample of t: median and range.

    Parameters
    ----------
    table
        A table with its column ``series``.
    matrix
        ``vector_field`` for F_t of Euler-type models, ``step`` for J_t of the others.
    width, height
        Size in CSS pixels; the height grows with the number of series.
    room
        Width at the right that the labels take.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.series import with_series
    >>> figure = largest_real_part(with_series(example_results().table))
    >>> figure.axes[0].get_xlabel()
    'step t'
    """
    rows = select(table, "real_max", matrix, longest=True)
    band = bands(rows, "step")
    band = band.assign(x=band["step"].astype(int))
    with drawing():
        figure = pixels(width, height_for(len(present(rows)), height, 70))
        axes = axes_within(figure, left=64, right=room, bottom=48, top=14)
        draw_curves(axes, band, at_least=(-0.01, 0.01), room=room)
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.set(xlabel="step t", ylabel="max Re λ")
    return figure
