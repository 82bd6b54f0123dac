"""Labels at the right ends of lines, moved apart until they can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradprobe.reports.figures.style import UNITS_PER_INCH, marked
from gradprobe.reports.numbers import printable, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from gradprobe.reports.figures.style import Look

SPACING = 15.0
"""Least distance between the middles of two labels, in CSS pixels."""

_LEADER, _SAMPLE, _GAP = 16.0, 22.0, 5.0
_CHARACTER = 6.9
_FEWEST_LETTERS = 6


class End(NamedTuple):
    """A label, the height at which its line ends (data units), the line's look and its series."""

    label: str
    height: float
    look: Look
    series: str


def spread_out(heights: Sequence[float], spacing: float, low: float, high: float) -> list[float]:
    """Move `heights` apart to at least `spacing`, as little as possible, within low … high.

    Neighbours that are too close become a block that is centred on their mean.  Where there is not
    room enough the spacing shrinks.

    Examples
    --------
    >>> spread_out([0.0, 0.0, 50.0], 10.0, -100.0, 100.0)
    [-5.0, 5.0, 50.0]
    """
    order = np.argsort(heights, kind="stable")
    spacing = min(spacing, (high - low) / max(len(heights) - 1, 1))
    blocks: list[tuple[float, int]] = []  # centre, size
    for index in order:
        blocks.append((float(np.clip(heights[index], low, high)), 1))
        blocks[-1:] = [_within(*blocks[-1], spacing, low, high)]
        while len(blocks) > 1 and _overlap(blocks[-2], blocks[-1], spacing):
            (first, m), (second, n) = blocks[-2:]
            merged = (m * first + n * second) / (m + n)
            blocks[-2:] = [_within(merged, m + n, spacing, low, high)]
    placed = [
        centre + (place - (size - 1) / 2) * spacing
        for centre, size in blocks
        for place in range(size)
    ]
    result = [0.0] * len(heights)
    for index, height in zip(order, placed, strict=True):
        result[index] = height
    return result


def label_ends(axes: Axes, ends: Sequence[End], room: float) -> None:
    """Write a label for each line to the right of the axes, with a sample of the line.

    Parameters
    ----------
    axes
        With their limits set.
    ends
        The lines.
    room
        Width to the right of the axes in CSS pixels; where it is too narrow nothing is written.
    """
    letters = int((room - _LEADER - _SAMPLE - _GAP) / _CHARACTER)
    if not ends or letters < _FEWEST_LETTERS:
        return
    height = _size(axes)[1]
    low, high = axes.get_ylim()
    wanted = [(end.height - low) / (high - low) * height for end in ends]
    margin = 0.5 * SPACING
    placed = spread_out(wanted, SPACING, margin, height - margin)
    for end, start, middle in zip(ends, wanted, placed, strict=True):
        with marked(axes, end.series):
            _label(axes, end, start / height, middle / height, letters)


def _label(axes: Axes, end: End, start: float, y: float, letters: int) -> None:
    """Draw a leader from the end of the line, a sample of the line, and its name."""
    width = _size(axes)[0]
    across = [1.0, 1 + _LEADER / width, 1 + (_LEADER + _SAMPLE) / width]
    options: dict[str, Any] = {
        "transform": axes.transAxes,
        "clip_on": False,
        "color": end.look.colour,
    }
    axes.plot(across[:2], [float(np.clip(start, 0, 1)), y], linewidth=0.6, **options)
    axes.plot(across[1:], [y, y], linestyle=end.look.dashes, **options)
    axes.text(
        across[2] + _GAP / width,
        y,
        shorten(printable(end.label), letters),
        transform=axes.transAxes,
        verticalalignment="center_baseline",
        fontsize=12,
    )


def _size(axes: Axes) -> tuple[float, float]:
    """Return width and height of the axes in CSS pixels."""
    box = axes.get_position()
    size = axes.figure.get_size_inches() * UNITS_PER_INCH  # type: ignore[union-attr]
    return box.width * size[0], box.height * size[1]


def height_for(labels: int, least: float, margins: float) -> float:
    """Return the height of a figure in CSS pixels that has room for so many labels.

    Examples
    --------
    >>> height_for(3, 400, 60), height_for(40, 400, 60)
    (400, 660.0)
    """
    return max(least, labels * SPACING + margins)


def _within(centre: float, size: int, spacing: float, low: float, high: float) -> tuple[float, int]:
    half = 0.5 * (size - 1) * spacing
    return float(min(max(centre, low + half), high - half)), size


def _overlap(below: tuple[float, int], above: tuple[float, int], spacing: float) -> bool:
    distance = above[0] - below[0]
    return distance < 0.5 * (below[1] + above[1]) * spacing - 1e-9
