"""Learning curves: loss and accuracy over the iterations of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradprobe.reports.figures.curves import draw_curves
from gradprobe.reports.figures.ends import height_for
from gradprobe.reports.figures.style import axes_within, drawing, look, marked, pixels
from gradprobe.reports.series import bands, position, present

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABELS = {
    "train_loss": "training loss",
    "validation_loss": "validation loss",
    "validation_accuracy": "validation accuracy, %",
    "validation_mean_squared_error": "validation error",
    "train_accuracy": "training accuracy, %",
}
_CUT = 0.98
_FEW = 12


def learning_curve(
    rows: pd.DataFrame,
    quantity: str = "validation_accuracy",
    *,
    width: float = 760,
    height: float = 320,
    room: float = 265,
) -> Figure:
    """Draw a quantity of the trainings on one task over their iterations: median and range.

    A cross marks where a training diverged.  The highest two hundredths of a loss may lie above
    the frame, lest a training that blows up flattens all others.

    Parameters
    ----------
    rows
        Of `gradprobe.reports.trainings.training_rows`, of one task.
    quantity
        ``train_loss``, ``validation_loss``, ``validation_accuracy`` or
        ``validation_mean_squared_error``; accuracies are drawn in percent.
    width, height
        Size in CSS pixels; the height grows with the number of models.
    room
        Width at the right that the labels take.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_trainings
    >>> from gradprobe.reports.trainings import training_rows
    >>> figure = learning_curve(training_rows(example_trainings(tasks=["digits"]).table))
    >>> figure.axes[0].get_ylabel()
    'validation accuracy, %'
    """
    band = learning_band(rows, quantity)
    with drawing():
        figure = pixels(width, height_for(len(present(band)), height, 70))
        axes = axes_within(figure, left=64, right=room, bottom=48, top=14)
        draw_curves(axes, band, at_least=_at_least(band, quantity), window=_window(band), room=room)
        _mark_points(axes, band)
        _mark_divergence(axes, rows, band)
        axes.set_xlim(0, max(float(band["x"].max()), 1.0))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.locator_params(axis="x", nbins=6 if width > 500 else 4)
        axes.set(xlabel="iteration", ylabel=LABELS.get(quantity, quantity))
    return figure


def learning_band(rows: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Return median, lowest and highest value over seeds of each model at each iteration.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_trainings
    >>> from gradprobe.reports.trainings import training_rows
    >>> rows = training_rows(example_trainings(models=1, tasks=["digits"]).table)
    >>> band = learning_band(rows, "validation_accuracy")
    >>> len(band), bool(band["high"].max() > 80)
    (20, True)
    """
    mine = rows[(rows["quantity"] == quantity) & np.isfinite(rows["value"])]
    if quantity.endswith("accuracy"):
        mine = mine.assign(value=100 * mine["value"])
    band = bands(mine, "iteration")
    return band.assign(x=band["iteration"].astype(int)).sort_values(
        ["series", "x"], ignore_index=True
    )


def _at_least(band: pd.DataFrame, quantity: str) -> tuple[float, float]:
    if quantity.endswith("accuracy"):
        return 0.0, 20.0
    return float(band["low"].min()), float(band["high"].max())


def _mark_points(axes: Axes, band: pd.DataFrame) -> None:
    """Mark what was measured where it is little, so that a single value shows too."""
    for name, rows in band.groupby("series", observed=True):
        if len(rows) <= _FEW:
            style = look(position(band, str(name)))
            with marked(axes, str(name)):
                axes.plot(rows["x"], rows["median"], style.marker, color=style.colour, markersize=5)


def _window(band: pd.DataFrame) -> tuple[float, float] | None:
    """Return heights that leave out the outermost of a skewed band; None if all fit."""
    top, most = float(band["high"].quantile(_CUT)), float(band["high"].max())
    if most <= 2 * top or not top > 0:
        return None
    return -0.05 * top, 1.2 * top


def _mark_divergence(axes: Axes, rows: pd.DataFrame, band: pd.DataFrame) -> None:
    for _, row in rows[rows["quantity"] == "diverged_at"].iterrows():
        mine = band[(band["series"] == row["series"]) & (band["x"] <= row["value"])]
        if len(mine):
            height = np.clip(mine["median"].iloc[-1:], *axes.get_ylim())
            colour = look(position(band, str(row["series"]))).colour
            with marked(axes, str(row["series"])):
                axes.plot(
                    [row["value"]], height, "x", color=colour, markersize=8, markeredgewidth=2.2
                )
