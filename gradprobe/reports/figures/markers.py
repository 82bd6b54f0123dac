"""A legend of markers that is part of the drawing: beside the axes, or below them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradprobe.reports.figures.style import UNITS_PER_INCH, marked
from gradprobe.reports.numbers import printable, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from gradprobe.reports.figures.style import Look

LINE = 17.0
"""Height of an entry in CSS pixels."""

_CHARACTER = 7.4
_INDENT = 14.0


def markers_beside(axes: Axes, entries: Sequence[tuple[str, Look]], room: float) -> None:
    """Write an entry for each marker to the right of the axes, the first on top.

    Parameters
    ----------
    axes
        Where the markers are drawn.
    entries
        Names and looks.
    room
        Width to the right of the axes in CSS pixels.
    """
    _write(axes, entries, left=1.0, top=-4.0, room=room - _INDENT)


def markers_below(axes: Axes, entries: Sequence[tuple[str, Look]], room: float) -> None:
    """Write an entry for each marker below the axes and their label.

    Parameters
    ----------
    axes
        Where the markers are drawn.
    entries
        Names and looks.
    room
        Width of an entry in CSS pixels.
    """
    height = _size(axes)[1]
    _write(axes, entries, left=-0.08, top=height + 58, room=room)


def _size(axes: Axes) -> tuple[float, float]:
    box = axes.get_position()
    width, height = axes.figure.get_size_inches() * UNITS_PER_INCH  # type: ignore[union-attr]
    return box.width * width, box.height * height


def _write(
    axes: Axes, entries: Sequence[tuple[str, Look]], left: float, top: float, room: float
) -> None:
    width, height = _size(axes)
    options: dict[str, Any] = {"transform": axes.transAxes, "clip_on": False}
    for number, (name, style) in enumerate(entries):
        y = 1 - (top + LINE * (number + 0.5)) / height
        x = left + _INDENT / width
        text = shorten(printable(name), int((room - 24) / _CHARACTER))
        with marked(axes, name):
            axes.plot([x], [y], style.marker, color=style.colour, markersize=6, **options)
            axes.text(
                x + 10 / width,
                y,
                text,
                verticalalignment="center_baseline",
                fontsize=12,
                **options,
            )
