"""Colours, line styles and sizes that all figures share.

One unit of a figure is one CSS pixel: matplotlib writes SVG at 72 units an inch.  Every colour has
a role; `gradprobe.reports.svg` writes roles as CSS variables, so that one drawing serves a light
and a dark page.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

from gradprobe.reports.numbers import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

UNITS_PER_INCH = 72

INK, MUTED, GRID, STABLE = "#22262b", "#646b73", "#d8dce1", "#dcebe2"
SERIES = (
    "#1f5fa8",
    "#d1570c",
    "#0a8a6a",
    "#9c2f86",
    "#8a7a00",
    "#4b3fb0",
    "#b3203a",
    "#3f8fc4",
    "#40464d",
)
LENGTHS = ("#5c9ead", "#2f78ad", "#3d4fa3", "#3b1f6b")
HEAT = ("#5b2a86", "#9274b8", "#cbbde0", "#e9ecea", "#f4cfa0", "#e08a3c", "#9c4a0c")
PARTS = ("#1f5fa9", "#d1570d", "#8a9099")
UNRESOLVED = "#868d95"

ROLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    STABLE: "--stable",
    UNRESOLVED: "--unresolved",
    **{colour: f"--series-{number}" for number, colour in enumerate(SERIES, start=1)},
    **{colour: f"--length-{number}" for number, colour in enumerate(LENGTHS, start=1)},
    **{colour: f"--heat-{number}" for number, colour in enumerate(HEAT, start=1)},
    **{colour: f"--part-{number}" for number, colour in enumerate(PARTS, start=1)},
}
"""The CSS variable of each colour."""

SERIES_ID = "series:"
"""What the ids of marked parts of a drawing start with; the name of the series follows."""

_DASHES: tuple[Any, ...] = ("solid", (0, (5, 2)), (0, (1.2, 1.6)), (0, (6, 1.6, 1.2, 1.6)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")

_SETTINGS = {
    "font.size": 12,
    "axes.labelsize": 12,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.solid_capstyle": "round",
    "lines.dash_capstyle": "butt",
    "lines.linewidth": 1.7,
    "path.simplify": True,
    "path.simplify_threshold": 0.25,
    "svg.fonttype": "none",
    "svg.hashsalt": "gradprobe",
}


class Look(NamedTuple):
    """How a series is told from the others: a colour, a line style and a marker."""

    colour: str
    dashes: Any
    marker: str


@contextmanager
def drawing() -> Iterator[None]:
    """Set what figures share, and restore what was set before."""
    settings: Any = {**sns.axes_style("ticks"), **_SETTINGS}
    with mpl.rc_context(settings):
        yield


def look(number: int) -> Look:
    """Return the look of a series; 36 differ in colour or line style.

    Examples
    --------
    >>> len({look(number)[:2] for number in range(36)})
    36
    """
    round_, colour = divmod(number, len(SERIES))
    return Look(
        SERIES[colour],
        _DASHES[(round_ + colour) % len(_DASHES)],
        _MARKERS[number % len(_MARKERS)],
    )


@contextmanager
def marked(axes: Axes, series: str) -> Iterator[None]:
    """Say that what is drawn here shows a series, so that a page can pick it out.

    Parameters
    ----------
    axes
        Where lines, bands, marks and labels are drawn.
    series
        The name of the series.

    Examples
    --------
    >>> axes = pixels(100, 50).add_subplot()
    >>> with marked(axes, "LSTM"):
    ...     line, = axes.plot([0, 1])
    >>> line.get_gid()
    'series:LSTM'
    """
    before = set(axes.get_children())
    yield
    for part in axes.get_children():
        if part not in before:
            part.set_gid(f"{SERIES_ID}{printable(series)}")


def pixels(width: float, height: float) -> Figure:
    """Return an empty figure of a size in CSS pixels.

    Examples
    --------
    >>> pixels(720, 360).get_size_inches().tolist()
    [10.0, 5.0]
    """
    return Figure(figsize=(width / UNITS_PER_INCH, height / UNITS_PER_INCH))


def axes_within(figure: Figure, left: float, right: float, bottom: float, top: float) -> Axes:
    """Add axes with margins in CSS pixels.

    Examples
    --------
    >>> axes_within(pixels(100, 100), 10, 20, 10, 20).get_position().extents.round(6).tolist()
    [0.1, 0.1, 0.8, 0.8]
    """
    width, height = figure.get_size_inches() * UNITS_PER_INCH
    bounds = (
        round(left / width, 6),
        round(bottom / height, 6),
        round((width - left - right) / width, 6),
        round((height - bottom - top) / height, 6),
    )
    return figure.add_axes(bounds)
