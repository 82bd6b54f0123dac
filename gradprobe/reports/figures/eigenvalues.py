"""Eigenvalues in the complex plane, with the region in which a step does not amplify."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from gradprobe.reports.figures.panels import panels
from gradprobe.reports.figures.style import MUTED, STABLE, UNRESOLVED, drawing, look
from gradprobe.reports.series import RUN, position, present, select

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

Limits = tuple[float, float, float]
"""Left, right and top of a panel; its bottom is minus its top."""

_DOT = 3.6
_DASH = 3e-4
"""A dot is a round line cap: a dash of this share of the panel's width, under 0.1 pixels."""

_BOUNDARY_POINTS = 181
_ASPECT = 1.06
"""Width over height of a panel of the default size, so that a disk is round and fills it."""


def eigenvalue_plane(
    table: pd.DataFrame, *, width: float = 235, height: float = 200, limits: Limits | None = None
) -> Figure:
    """Draw the eigenvalues of F_t or J_t at the last measured step, a panel per series.

    The shaded region is where a mode does not grow: |1 + ελ| ≤ 1 for F_t of Euler-type models, a
    disk of radius 1/ε about −1/ε of which only the part near the origin is in view, and |λ| ≤ 1 for
    J_t of the others.

    Parameters
    ----------
    table
        A table with its column ``series``.
    width, height
        Size of a panel in CSS pixels.
    limits
        Of every panel; those of `plane_limits` if None.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.series import with_series
    >>> figure = eigenvalue_plane(with_series(example_results(models=5).table))
    >>> len(figure.axes), figure.axes[0].get_xlabel()
    (5, 'Re λ')
    """
    points = eigenvalues(table)
    shared = plane_limits(points)
    with drawing():
        names = present(points)
        figure, axes = panels(names, width, height)
        for name, place in zip(names, axes, strict=True):
            mine = points[points["series"] == name]
            _panel(
                place,
                mine,
                look(position(points, name)).colour,
                limits or shared[mine["matrix"].iloc[0]],
            )
    return figure


def eigenvalues(table: pd.DataFrame) -> pd.DataFrame:
    """Return the eigenvalues at the last measured step: columns real, imag, modulus, resolved.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.series import with_series
    >>> points = eigenvalues(with_series(example_results(models=1).table))
    >>> points["step"].unique().tolist()
    [1000]
    """
    keys = [*RUN, "length", "step", "rank"]
    real = select(table, "real", longest=True)
    if len(real):
        last = real.groupby("series", observed=True)["step"].transform("max")
        real = real[real["step"] == last]
    points = real.assign(matrix=real["matrix"].astype(object)).rename(columns={"value": "real"})
    points = points[[*keys, "matrix", "real", "resolved"]]
    for name, quantities in (("imag", ["imag"]), ("modulus", ["euler_modulus", "modulus"])):
        rows = table[table["quantity"].isin(quantities)]
        rows = rows[[*keys, "value"]].rename(columns={"value": name})
        points = points.merge(rows, on=keys, how="left")
    resolved = points["resolved"].fillna(True).astype(bool)
    return points.assign(resolved=resolved).dropna(subset=["real", "imag"])


def plane_limits(points: pd.DataFrame) -> dict[str, Limits]:
    """Return the limits that all panels of one matrix share.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.series import with_series
    >>> points = eigenvalues(with_series(example_results(models=2).table))
    >>> [round(limit, 1) for limit in plane_limits(points)["step"]]
    [-1.2, 1.2, 1.1]
    """
    shared: dict[str, Limits] = {}
    for matrix, rows in points.groupby("matrix"):
        top = float(rows["imag"].abs().max())
        wide = float(rows["real"].abs().max())
        if matrix == "vector_field":
            wide, top = max(wide, 1e-3) * 1.15, max(top, 1e-3) * 1.1
        else:
            top = max(1.15, 1.08 * top, 1.08 * wide / _ASPECT)
            wide = _ASPECT * top
        shared[str(matrix)] = (-wide, wide, top)
    return shared


def step_size(points: pd.DataFrame) -> float | None:
    """Return the ε with which |1 + ελ| was computed, None if no ε explains the moduli.

    |1 + ελ|² = 1 + 2ε Re λ + ε²|λ|² is solved at the eigenvalue farthest from the origin; of its
    two roots the one that fits all others is taken.

    Examples
    --------
    >>> import pandas as pd
    >>> z = np.array([1j, -0.5 + 2j])
    >>> points = pd.DataFrame({"real": z.real, "imag": z.imag, "modulus": abs(1 + 0.25 * z)})
    >>> round(step_size(points), 6)
    0.25
    """
    z = points["real"].to_numpy(float) + 1j * points["imag"].to_numpy(float)
    modulus = points["modulus"].to_numpy(float)
    if not z.size or not np.isfinite(modulus).all() or not np.abs(z).max() > 0:
        return None
    far = np.abs(z).argmax()
    square = np.abs(z[far]) ** 2
    root = z[far].real ** 2 + square * (modulus[far] ** 2 - 1)
    candidates = [(-z[far].real + sign * np.sqrt(max(root, 0.0))) / square for sign in (1.0, -1.0)]
    faults = [float(np.abs(np.abs(1 + step * z) - modulus).max()) for step in candidates]
    best = int(np.argmin(faults))
    return float(candidates[best]) if candidates[best] > 0 and faults[best] < 1e-6 else None


def _panel(axes: Axes, points: pd.DataFrame, colour: str, limits: Limits) -> None:
    left, right, top = limits
    axes.set_xlim(left, right)
    axes.set_ylim(-top, top)
    euler = points["matrix"].iloc[0] == "vector_field"
    step = step_size(points) if euler else None
    if step is not None:
        _region(axes, -1 / step, 1 / step, limits)
    if not euler:
        _region(axes, 0.0, 1.0, limits)
        axes.set_aspect("equal", adjustable="box")
        if top < 2:
            axes.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1])
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.axhline(0, color=MUTED, linewidth=0.8)
    for resolved, rows in points.groupby("resolved"):
        _dots(axes, rows[["real", "imag"]].to_numpy(float), colour, bool(resolved))
    axes.set(xlabel="Re λ", ylabel="Im λ")


def _region(axes: Axes, centre: float, radius: float, limits: Limits) -> None:
    top = min(limits[2], radius)
    y = top * np.sin(np.linspace(-np.pi / 2, np.pi / 2, _BOUNDARY_POINTS))
    half = np.sqrt(np.maximum(radius**2 - y**2, 0.0))
    left = np.maximum(centre - half, limits[0])
    axes.fill_betweenx(y, left, np.maximum(centre + half, left), color=STABLE, linewidth=0)
    axes.plot(centre + half, y, color=MUTED, linewidth=1)
    if centre - radius > limits[0]:
        axes.plot(centre - half, y, color=MUTED, linewidth=1)


def _dots(axes: Axes, points: NDArray[np.float64], colour: str, resolved: bool) -> None:
    """Draw points as one path of dots, those that fall on the same pixel once."""
    if not resolved:
        x, y = points.T
        axes.plot(x, y, "o", markersize=3.5, mfc="none", color=UNRESOLVED, zorder=3)
        return
    grid = np.round(axes.transData.transform(points))
    _, first = np.unique(grid, axis=0, return_index=True)
    dots = np.repeat(points[np.sort(first)], 2, axis=0)
    dots[1::2, 0] += _DASH * np.diff(axes.get_xlim())
    path = Path(dots, [Path.MOVETO, Path.LINETO] * (len(dots) // 2))
    path.should_simplify = False
    colours: dict[str, Any] = {"facecolor": "none", "edgecolor": colour}
    axes.add_patch(PathPatch(path, linewidth=_DOT, capstyle="round", zorder=3, **colours))
