"""Small multiples: one panel per series."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import MaxNLocator

from gradprobe.reports.figures.style import pixels
from gradprobe.reports.numbers import shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3
_LEFT, _RIGHT, _BOTTOM, _TOP, _TITLE = 62, 14, 42, 8, 20
_LETTERS = 28


def panels(
    names: Sequence[str],
    width: float,
    height: float,
    columns: int = COLUMNS,
    margins: tuple[float, float, float, float] = (_LEFT, _RIGHT, _BOTTOM, _TOP),
) -> tuple[Figure, list[Axes]]:
    """Return a figure with one panel per name, titled if there are several.

    Parameters
    ----------
    names
        Titles.
    width, height
        Size of a panel in CSS pixels, its margins included.
    columns
        Panels side by side.
    margins
        Of a panel in CSS pixels: left, right, bottom and top.

    Examples
    --------
    >>> figure, axes = panels(["a", "b", "c", "d"], 240, 200)
    >>> len(axes), (figure.get_size_inches() * 72).tolist()
    (4, [720.0, 440.0])
    """
    left, right, bottom, above = margins
    across = max(min(columns, len(names)), 1)
    down = max(-(-len(names) // across), 1)
    title = _TITLE if len(names) > 1 else 0
    full_width, full_height = across * width, down * (height + title)
    figure = pixels(full_width, full_height)
    places = []
    for number, name in enumerate(names):
        row, column = divmod(number, across)
        top = row * (height + title) + title + above
        size = width - left - right, height - bottom - above
        bounds = (
            (column * width + left) / full_width,
            1 - (top + size[1]) / full_height,
            size[0] / full_width,
            size[1] / full_height,
        )
        axes = figure.add_axes(bounds)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_label_coords(-(left - 18) / size[0], 0.5)
        if title:
            axes.set_title(shorten(name, _LETTERS), fontsize=12)
        places.append(axes)
    return figure, places
