"""How far from the origin trajectories are over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe.reports.figures.curves import draw_curves
from gradprobe.reports.figures.ends import height_for
from gradprobe.reports.figures.style import axes_within, drawing, pixels
from gradprobe.reports.series import bands, present

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def distance_from_origin(
    rows: pd.DataFrame, *, width: float = 760, height: float = 300, room: float = 265
) -> Figure:
    """Draw ‖h_t‖ over t: median and range over seeds and initial states.

    Parameters
    ----------
    rows
        Of `gradprobe.reports.portraits.distances`.
    width, height
        Size in CSS pixels; the height grows with the number of series.
    room
        Width at the right that the labels take.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_dynamics
    >>> from gradprobe.reports.portraits import distances, portraits
    >>> figure = distance_from_origin(distances(portraits(example_dynamics().table)))
    >>> figure.axes[0].get_ylabel()
    '‖h_t‖'
    """
    band = bands(rows, "step")
    band = band.assign(x=band["step"].astype(int))
    with drawing():
        figure = pixels(width, height_for(len(present(rows)), height, 70))
        axes = axes_within(figure, left=64, right=room, bottom=48, top=14)
        draw_curves(axes, band, at_least=(0.0, 1.0), room=room)
        axes.set(xlabel="step t", ylabel="‖h_t‖")
    return figure
