"""The singular values of the end-to-end Jacobian over T, as a map in classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import FixedLocator

from gradprobe.reports.figures.panels import panels
from gradprobe.reports.figures.style import HEAT, UNRESOLVED, drawing
from gradprobe.reports.numbers import MINUS
from gradprobe.reports.series import bands, present, select
from gradprobe.reports.verdicts import KEPT, LOST

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EDGES = (-LOST, -3 * KEPT, -KEPT, KEPT, 3 * KEPT, LOST)
"""Between the classes of log σ: factors of 2^24, of 1000 and of ten, down and up."""

CLASSES = (
    f"below {MINUS}16.6: lost in single precision",
    f"{MINUS}16.6 to {MINUS}6.9",
    f"{MINUS}6.9 to {MINUS}2.3",
    f"{MINUS}2.3 to 2.3: kept to a factor of ten",
    "2.3 to 6.9",
    "6.9 to 16.6",
    "above 16.6",
    "not resolved",
)
"""What each class holds; the last one holds what could not be determined."""

COLOURS = (*HEAT, UNRESOLVED)
_MOST_TICKS = 5


class Run(NamedTuple):
    """Neighbouring singular values of one T in one class: shares of the spectrum, from the top."""

    length: int
    start: float
    end: float
    kind: int


def singular_spectrum_map(
    table: pd.DataFrame, *, width: float = 235, height: float = 200, legend: bool = True
) -> Figure:
    """Draw log σ_i(M_T) as colours over T and rank / S, a panel per series: medians.

    The colours are classes: what keeps its size to a factor of ten, to a factor of 1000, what is
    within 2^24, and what is beyond, downwards and upwards.  A class of its own holds the values
    that could not be determined.

    Parameters
    ----------
    table
        A table with its column ``series``.
    width, height
        Size of a panel in CSS pixels.
    legend
        Whether a panel after the last one explains the colours.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.series import with_series
    >>> figure = singular_spectrum_map(with_series(example_results(models=2).table))
    >>> len(figure.axes), figure.axes[0].get_xlabel()
    (3, 'T')
    """
    sigma = select(table, "log_sigma", "end_to_end")
    with drawing():
        names = present(sigma)
        figure, axes = panels([*names, *(["log σ"] if legend else [])], width, height)
        for name, place in zip(names, axes, strict=False):
            _panel(place, spectrum_runs(sigma[sigma["series"] == name]))
        if legend:
            _explain(axes[-1])
    return figure


def spectrum_runs(sigma: pd.DataFrame) -> list[Run]:
    """Return the classes of the medians of one series, for each T from the largest value down.

    Parameters
    ----------
    sigma
        Rows of quantity ``log_sigma`` of one series.

    Examples
    --------
    >>> from gradprobe import frame
    >>> from gradprobe.reports.series import with_series
    >>> rows = frame.rows(quantity="log_sigma", length=8, rank=[1, 2, 3, 4], resolved=True,
    ...                   value=[0.1, -1.0, -5.0, float("-inf")])
    >>> [(run.start, run.end, run.kind) for run in spectrum_runs(with_series(rows))]
    [(0.0, 0.5, 3), (0.5, 0.75, 2), (0.75, 1.0, 0)]
    """
    band = bands(sigma, ["length", "rank"]).sort_values(["length", "rank"])
    kinds = np.searchsorted(EDGES, band["median"].to_numpy(dtype=float))
    unknown = ~band["resolved"].to_numpy(dtype=bool)
    kinds = np.where(unknown, len(HEAT), kinds)
    found = []
    for length, rows in band.assign(kind=kinds).groupby("length"):
        found += list(_runs(int(str(length)), rows["kind"].to_numpy()))
    return found


def _runs(length: int, kinds: np.ndarray[Any, Any]) -> Iterator[Run]:
    borders = np.flatnonzero(np.diff(kinds)) + 1
    for start, end in zip([0, *borders], [*borders, len(kinds)], strict=True):
        yield Run(length, float(start / len(kinds)), float(end / len(kinds)), int(kinds[start]))


def _panel(axes: Axes, runs: list[Run]) -> None:
    lengths = sorted({run.length for run in runs})
    place = {length: number for number, length in enumerate(lengths)}
    for kind, colour in enumerate(COLOURS):
        mine = [run for run in runs if run.kind == kind]
        if mine:
            boxes = [_box(place[run.length], run.start, run.end) for run in mine]
            shape = PathPatch(
                Path.make_compound_path(*boxes),
                facecolor=colour,
                edgecolor="none",
                alpha=0.4 if kind == len(HEAT) else None,
            )
            axes.add_patch(shape)
    axes.set_xlim(0, len(lengths))
    axes.set_ylim(1, 0)
    step = -(-len(lengths) // _MOST_TICKS)
    shown = lengths[len(lengths) - 1 :: -step]
    axes.xaxis.set_major_locator(FixedLocator([place[length] + 0.5 for length in shown]))
    axes.set_xticklabels([f"{length:,}" for length in shown])
    axes.set_yticks([0, 0.5, 1], ["0", "½", "1"])
    axes.grid(visible=False)
    axes.set(xlabel="T", ylabel="rank / S")


def _box(column: int, start: float, end: float) -> Path:
    corners = [(column, start), (column + 1, start), (column + 1, end), (column, end)]
    return Path([*corners, corners[0]], closed=True)


def _explain(axes: Axes) -> None:
    """Write what each colour means, the largest values on top."""
    axes.set_axis_off()
    axes.set_ylim(len(COLOURS), 0)
    order = [*reversed(range(len(HEAT))), len(HEAT)]
    for row, kind in enumerate(order):
        axes.add_patch(
            PathPatch(
                Path([(0, row), (0.1, row), (0.1, row + 0.8), (0, row + 0.8), (0, row)]),
                facecolor=COLOURS[kind],
                edgecolor="none",
                alpha=0.4 if kind == len(HEAT) else None,
            )
        )
        text = CLASSES[kind].split(":")[0]
        axes.text(0.15, row + 0.4, text, verticalalignment="center", fontsize=11)
