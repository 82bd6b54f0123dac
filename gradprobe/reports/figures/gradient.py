"""How the gradient's norm changes over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe.reports.figures.curves import draw_curves
from gradprobe.reports.figures.ends import height_for
from gradprobe.reports.figures.style import MUTED, axes_within, drawing, pixels
from gradprobe.reports.series import bands, gains, present
from gradprobe.reports.verdicts import KEPT, LOST

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_LABELS = {
    "end_to_end": ("step t", "log(‖∂h_t/∂h_0‖ / ‖I‖)"),
    "tail": ("steps back from the end, T − t", "log(‖∂h_T/∂h_t‖ / ‖I‖)"),
}


def gradient_norm(
    table: pd.DataFrame,
    matrix: str = "end_to_end",
    *,
    width: float = 760,
    height: float = 400,
    room: float = 265,
    window: tuple[float, float] | None = None,
) -> Figure:
    """Draw log(‖∂h_t/∂h_0‖_F / ‖I‖_F), or ‖∂h_T/∂h_t‖_F, over time: median and range.

    Parameters
    ----------
    table
        A table with its column ``series`` (`gradprobe.reports.series.with_series`).
    matrix
        ``end_to_end`` for ∂h_t/∂h_0, ``tail`` for ∂h_T/∂h_t at the longest T.
    width, height
        Size in CSS pixels; the height grows with the number of series.
    room
        Width at the right that the labels take.
    window
        Show only these values, to enlarge the models that survive.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.series import with_series
    >>> figure = gradient_norm(with_series(example_results().table))
    >>> figure.axes[0].get_ylabel()
    'log(‖∂h_t/∂h_0‖ / ‖I‖)'
    """
    band = norm_band(table, matrix)
    with drawing():
        figure = pixels(width, height_for(len(present(band)), height, 70))
        axes = axes_within(figure, left=64, right=room, bottom=48, top=14)
        draw_curves(axes, band, at_least=(-1.0, 1.0), window=window, room=room)
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.set(xlabel=_LABELS[matrix][0], ylabel=_LABELS[matrix][1])
    return figure


def norm_band(table: pd.DataFrame, matrix: str = "end_to_end") -> pd.DataFrame:
    """Return median and range of the gain at each step; ``x`` is t, or T − t for ``tail``.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.series import with_series
    >>> norm_band(with_series(example_results(models=1).table), "tail")["x"].tolist()[:3]
    [0, 1, 2]
    """
    band = bands(gains(table, matrix), ["length", "step"])
    x = band["step"] if matrix == "end_to_end" else band["length"] - band["step"]
    return band.assign(x=x.astype(int)).sort_values(["series", "x"], ignore_index=True)


def close_up(table: pd.DataFrame, matrix: str = "end_to_end") -> tuple[float, float] | None:
    """Return heights that enlarge what neither vanishes nor explodes; None if it would not help.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.series import with_series
    >>> low, high = close_up(with_series(example_results().table))
    >>> -10 < low < -1 < 1 < high < 10
    True
    """
    band = bands(gains(table, matrix), ["length", "step"])
    if band.empty:
        return None
    groups = band.groupby("series", observed=True)
    low, high = groups["low"].min().to_numpy(), groups["high"].max().to_numpy()
    calm = (low >= -LOST) & (high <= LOST)
    if not calm.any() or calm.all():
        return None
    window = min(float(low[calm].min()), -KEPT) * 1.1, max(float(high[calm].max()), KEPT) * 1.1
    finite = band[["low", "high"]].replace([float("-inf"), float("inf")], float("nan"))
    span = float(finite["high"].max() - finite["low"].min())
    return window if window[1] - window[0] < 0.5 * span else None
