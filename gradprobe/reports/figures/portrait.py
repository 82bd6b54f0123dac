"""Phase portraits: trajectories in the plane over the vector field that drives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from gradprobe.reports.figures.panels import panels
from gradprobe.reports.figures.style import MUTED, SERIES, UNRESOLVED, drawing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from gradprobe.reports.portraits import Portrait

_SHADES = (0.25, 0.4, 0.55, 0.7, 0.85)
"""Opacity of the dots, from the earliest to the latest fifth of the steps."""

_FEW_SHADES = (0.3, 0.55, 0.8)
_MARGINS, _BARE = (48.0, 8.0, 42.0, 8.0), (3.0, 3.0, 3.0, 3.0)

_DOT = 3.2
_DASH = 3e-4
"""A dot is a round line cap: a dash of this share of the panel's width, under 0.1 pixels."""

_ARROW = 0.8
"""Longest arrow, in spacings of the mesh."""

_HEAD = 0.32
_OPEN = 2.6


def phase_portraits(
    shown: Sequence[Portrait],
    *,
    width: float = 235,
    height: float = 225,
    columns: int = 4,
    titles: Sequence[str] | None = None,
    extent: float | None = None,
    bare: bool = False,
) -> Figure:
    """Draw trajectories of two-dimensional states, a panel for each portrait.

    A star marks where a trajectory starts; the later a step, the more opaque its dot.  Arrows show
    the vector field, on one scale within a panel.

    Parameters
    ----------
    shown
        Of `gradprobe.reports.portraits.portraits`.
    width, height
        Size of a panel in CSS pixels.
    columns
        Panels side by side.
    titles
        One for each panel; the series if not given.
    extent
        Every panel shows [−extent, extent]²; if not given, the mesh of the vector field, and
        without one what holds the trajectories.  What leaves the frame is not drawn.
    bare
        Without arrows, ticks and labels of the axes: for many small panels.

    References
    ----------
    Chang, Chen, Haber, Chi, "AntisymmetricRNN", ICLR 2019, figure 1.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_dynamics
    >>> from gradprobe.reports.portraits import portraits
    >>> figure = phase_portraits(portraits(example_dynamics(seeds=1).table))
    >>> len(figure.axes)
    2
    """
    names = list(titles) if titles is not None else [portrait.series for portrait in shown]
    with drawing():
        figure, axes = panels(names, width, height, columns, _BARE if bare else _MARGINS)
        for place, portrait in zip(axes, shown, strict=True):
            _panel(place, portrait, extent or _reach(portrait), bare=bare)
    return figure


def _reach(portrait: Portrait) -> float:
    """Return the half-width of the mesh, or else a round one that holds the trajectories."""
    if portrait.mesh is not None:
        return float(np.abs(portrait.mesh).max())
    most = float(np.abs(portrait.paths).max(initial=0.0))
    if most <= 1.0:
        return 1.0
    power = 10 ** np.floor(np.log10(most))
    return float(power * np.ceil(most / power * 2) / 2)


def _panel(axes: Axes, portrait: Portrait, extent: float, *, bare: bool) -> None:
    margin = 1.08 * extent
    axes.set_xlim(-margin, margin)
    axes.set_ylim(-margin, margin)
    axes.set_aspect("equal", adjustable="box")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10], symmetric=True))
    axes.grid(visible=False)
    axes.axhline(0, color=MUTED, linewidth=0.5)
    axes.axvline(0, color=MUTED, linewidth=0.5)
    if portrait.mesh is not None and portrait.velocity is not None and not bare:
        _arrows(axes, portrait.mesh, portrait.velocity)
    for number, path in enumerate(portrait.paths.swapaxes(0, 1)):
        _trajectory(axes, path, SERIES[number % len(SERIES)], _FEW_SHADES if bare else _SHADES)
    if bare:
        axes.set(xticks=[], yticks=[])
    else:
        axes.set(xlabel="h₁", ylabel="h₂")


def _trajectory(
    axes: Axes, path: NDArray[np.float64], colour: str, shades: tuple[float, ...]
) -> None:
    for shade, part in zip(shades, np.array_split(path[1:], len(shades)), strict=True):
        _dots(axes, part, colour, shade)
    axes.plot(*path[:1].T, "*", color=colour, markersize=11, markeredgewidth=0, zorder=4)


def _dots(axes: Axes, points: NDArray[np.float64], colour: str, shade: float) -> None:
    """Draw points within the frame as one path of round line caps, those on one pixel once."""
    low, high = axes.get_xlim()
    inside = points[(np.abs(points) <= high).all(axis=1)]
    if not len(inside):
        return
    _, first = np.unique(np.round(axes.transData.transform(inside)), axis=0, return_index=True)
    inside = inside[np.sort(first)]
    dots = np.repeat(inside, 2, axis=0)
    dots[1::2, 0] += _DASH * (high - low)
    path = Path(dots, [Path.MOVETO, Path.LINETO] * len(inside))
    path.should_simplify = False
    look: dict[str, Any] = {"facecolor": "none", "edgecolor": colour, "alpha": shade}
    axes.add_patch(PathPatch(path, linewidth=_DOT, capstyle="round", zorder=3, **look))


def _arrows(axes: Axes, mesh: NDArray[np.float64], velocity: NDArray[np.float64]) -> None:
    """Draw all arrows as one path: a shaft and two strokes for the head of each."""
    speeds = np.hypot(*velocity.T)
    if not speeds.max(initial=0.0) > 0:
        return
    line = np.unique(mesh[:, 0])
    spacing = float(np.diff(line).min()) if len(line) > 1 else 1.0
    shaft = velocity / speeds.max() * _ARROW * spacing
    tips = mesh + shaft / 2
    strokes = [np.stack((mesh - shaft / 2, tips), axis=1)]
    for angle in (_OPEN, -_OPEN):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        strokes.append(np.stack((tips, tips + _HEAD * shaft @ turn.T), axis=1))
    points = np.concatenate(strokes).reshape(-1, 2)
    path = Path(points, [Path.MOVETO, Path.LINETO] * (len(points) // 2))
    path.should_simplify = False
    axes.add_patch(PathPatch(path, fill=False, edgecolor=UNRESOLVED, linewidth=0.7, zorder=1))
