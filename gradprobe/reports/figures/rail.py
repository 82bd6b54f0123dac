"""The rail: a marked line below an axis on which values of −∞ are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradprobe.reports.figures.style import MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_DEPTH = 0.09


def limits(values: NDArray[np.float64], at_least: tuple[float, float]) -> tuple[float, float]:
    """Return limits that hold the finite `values` and `at_least`, with a margin.

    Examples
    --------
    >>> limits(np.array([-100.0, -np.inf, 0.0]), (-1.0, 1.0))
    (-105.05, 6.05)
    """
    finite = values[np.isfinite(values)]
    low, high = finite.min(initial=at_least[0]), finite.max(initial=at_least[1])
    margin = 0.05 * (high - low) or 1.0
    return round(float(low - margin), 6), round(float(high + margin), 6)


def add_rail(axes: Axes) -> float:
    """Make room below the lowest value, draw the rail there, and return its height.

    Examples
    --------
    >>> from gradprobe.reports.figures.style import axes_within, pixels
    >>> axes = axes_within(pixels(200, 100), 20, 20, 20, 20)
    >>> axes.set_ylim(0.0, 1.0)
    (0.0, 1.0)
    >>> round(add_rail(axes), 6)
    -0.09
    """
    low, high = axes.get_ylim()
    height = float(low - _DEPTH * (high - low))
    axes.set_ylim(height - 0.5 * _DEPTH * (high - low), high)
    axes.axhline(height, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
    ticks = [tick for tick in axes.get_yticks() if low <= tick <= high]
    labels = [f"{tick:g}".replace("-", "\N{MINUS SIGN}") for tick in ticks]
    axes.set_yticks([*ticks, height], [*labels, "\N{MINUS SIGN}∞"])
    return height
