"""Lyapunov spectra."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe.reports.figures.curves import draw_curves
from gradprobe.reports.figures.ends import height_for
from gradprobe.reports.figures.style import MUTED, axes_within, drawing, look, marked, pixels
from gradprobe.reports.series import bands, position, present, select

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def lyapunov_spectrum(
    table: pd.DataFrame,
    *,
    width: float = 760,
    height: float = 360,
    room: float = 265,
) -> Figure:
    """Draw the Lyapunov exponents over their rank, at the longest T: median and range.

    Above zero a direction grows on average in the long run, and the dynamics is chaotic.

    Parameters
    ----------
    table
        A table with its column ``series``.
    width, height
        Size in CSS pixels; the height grows with the number of series.
    room
        Width at the right that the labels take.

    Examples
    --------
    >>> from gradprobe import frame
    >>> from gradprobe.reports.series import with_series
    >>> rows = frame.rows(model="tanh", quantity="lyapunov_exponent", matrix="end_to_end", length=9,
    ...                   block="state", rank=[1, 2], value=[0.1, -0.2], resolved=True)
    >>> lyapunov_spectrum(with_series(rows)).axes[0].get_ylabel()
    'Lyapunov exponent, nats per step'
    """
    band = lyapunov_band(table)
    with drawing():
        figure = pixels(width, height_for(len(present(band)), height, 70))
        axes = axes_within(figure, left=70, right=room, bottom=48, top=14)
        draw_curves(axes, band, at_least=(0.0, 0.0), room=room)
        axes.axhline(0, color=MUTED, linewidth=0.8)
        _mark_single(axes, band)
        axes.set(xlabel="rank of the exponent", ylabel="Lyapunov exponent, nats per step")
    return figure


def _mark_single(axes: Axes, band: pd.DataFrame) -> None:
    """Mark series of which only the largest exponent was measured: a line needs two."""
    for name, rows in band.groupby("series", observed=True):
        if len(rows) == 1:
            style = look(position(band, str(name)))
            with marked(axes, str(name)):
                axes.plot(rows["x"], rows["median"], style.marker, color=style.colour, markersize=5)


def lyapunov_band(table: pd.DataFrame) -> pd.DataFrame:
    """Return median, lowest and highest exponent over seeds and sequences, of every rank.

    Parameters
    ----------
    table
        A table with its column ``series``.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.series import with_series
    >>> len(lyapunov_band(with_series(example_results(models=1, lengths=[8]).table)))
    0
    """
    band = bands(select(table, "lyapunov_exponent", longest=True), ["length", "rank"])
    return band.assign(x=band["rank"].astype(int)).sort_values(["series", "x"], ignore_index=True)
