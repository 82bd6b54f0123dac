"""The singular values of the end-to-end Jacobian, at several lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.lines import Line2D

from gradprobe.reports.figures.curves import draw_band, draw_unresolved
from gradprobe.reports.figures.panels import panels
from gradprobe.reports.figures.rail import add_rail, limits
from gradprobe.reports.figures.style import GRID, LENGTHS, MUTED, drawing
from gradprobe.reports.series import bands, present, select
from gradprobe.reports.verdicts import KEPT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DASHES = ((0, (1.2, 1.6)), (0, (5, 2)), (0, (6, 1.6, 1.2, 1.6)), "solid")


class LengthLook(NamedTuple):
    """How the curve of one length is drawn."""

    length: int
    colour: str
    dashes: Any


def singular_spectrum(
    table: pd.DataFrame,
    *,
    lengths: Sequence[int] | None = None,
    width: float = 235,
    height: float = 200,
    legend: bool = True,
) -> Figure:
    """Draw log σ_i(M_T) over rank / S for several T, a panel per series: median and range.

    Values that could not be determined are hollow and grey; −∞ stands on a marked rail.  The band
    at zero holds what changes by less than a factor of ten.

    Parameters
    ----------
    table
        A table with its column ``series``.
    lengths
        The T to draw; up to four spread over those measured if None.
    width, height
        Size of a panel in CSS pixels.
    legend
        Whether to write which line is which T into the first panel.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.series import with_series
    >>> figure = singular_spectrum(with_series(example_results(models=4).table))
    >>> len(figure.axes), figure.axes[0].get_xlabel()
    (4, 'rank / S')
    """
    sigma = select(table, "log_sigma", "end_to_end")
    looks = length_looks(lengths or chosen_lengths(sigma))
    with drawing():
        names = present(sigma)
        figure, axes = panels(names, width, height)
        for name, place in zip(names, axes, strict=True):
            _panel(place, sigma[sigma["series"] == name], looks)
            place.set(xlabel="rank / S", ylabel="log σ")
        if legend and axes:
            axes[0].legend(handles=_handles(looks), loc="lower left", frameon=False)
    return figure


def chosen_lengths(sigma: pd.DataFrame) -> list[int]:
    """Return up to four of the measured lengths: the longest, and others that it halves to.

    Examples
    --------
    >>> import pandas as pd
    >>> chosen_lengths(pd.DataFrame({"length": [100, 200, 400, 600, 800, 1000]}))
    [100, 200, 400, 1000]
    """
    measured = np.sort(sigma["length"].unique().astype(int))
    if len(measured) <= len(LENGTHS):
        return [int(length) for length in measured]
    targets = np.geomspace(measured[0], measured[-1], len(LENGTHS))
    nearest = {int(measured[np.abs(np.log(measured / target)).argmin()]) for target in targets}
    return sorted(nearest)


def length_looks(lengths: Sequence[int]) -> list[LengthLook]:
    """Return the looks of the lengths; the longest is the darkest and solid.

    Examples
    --------
    >>> [look.dashes for look in length_looks([100])]
    ['solid']
    """
    first = len(LENGTHS) - len(lengths)
    return [
        LengthLook(length, LENGTHS[first + place], _DASHES[first + place])
        for place, length in enumerate(lengths)
    ]


def _panel(axes: Axes, sigma: pd.DataFrame, looks: list[LengthLook]) -> None:
    band = bands(sigma, ["length", "rank"])
    band = band[band["length"].isin([look.length for look in looks])]
    band = band.assign(x=band["rank"].astype(float) / float(sigma["rank"].max()))
    heights = band[["median", "low", "high"]].to_numpy(dtype=float)
    axes.set_ylim(limits(heights, (-KEPT, KEPT)))
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "½", "1"])
    axes.axhspan(-KEPT, KEPT, color=GRID, alpha=0.6, linewidth=0)
    axes.axhline(0, color=MUTED, linewidth=0.8)
    rail = add_rail(axes) if np.isneginf(heights).any() else None
    for look in looks:
        _curve(axes, band[band["length"] == look.length], look, rail)


def _curve(axes: Axes, rows: pd.DataFrame, look: LengthLook, rail: float | None) -> None:
    draw_band(axes, rows[rows["resolved"]], look.colour)
    finite = np.isfinite(rows["median"])
    heights = rows["median"].where(finite & rows["resolved"])
    if heights.notna().sum() == 1:
        axes.plot(rows["x"], heights, "o", color=look.colour, markersize=3.5)
    axes.plot(rows["x"], heights, color=look.colour, linestyle=look.dashes)
    draw_unresolved(axes, rows[finite & ~rows["resolved"]])
    zeros = rows[np.isneginf(rows["median"])]
    if rail is not None and len(zeros):
        axes.plot(zeros["x"], np.full(len(zeros), rail), "v", color=look.colour, markersize=4)


def _handles(looks: list[LengthLook]) -> list[object]:
    return [
        Line2D([], [], color=colour, linestyle=dashes, label=f"T = {length}")
        for length, colour, dashes in looks
    ]
