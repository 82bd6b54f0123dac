"""The figure: three spectra by four methods, and how far each method is off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from product_families import distance

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes

INK, MUTED, GRID = "#22262b", "#646b73", "#d8dce1"
EXACT, OURS, NAIVE, QR, SCALED = "#b9c0c8", "#1f5fa8", "#b3203a", "#0a8a6a", "#d1570c"

SHOWN = (
    ("tanh", 64, "tanh network"),
    ("LSTM state, forget bias 1", 64, "LSTM, forget bias 1"),
    ("chaotic", 64, "chaotic network"),
)
METHODS = (
    ("naive_svd", "naive SVD", NAIVE, "v"),
    ("scaled_svd", "scaled SVD", SCALED, "^"),
    ("qr_diagonal", "QR diagonal", QR, "s"),
    ("ours", "gradprobe", OURS, "o"),
)
LEAST, MOST = 1e-17, 1e5
"""Errors outside are drawn at the edge: zero has no logarithm."""

SETTINGS: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
    "svg.hashsalt": "gradprobe",
    "svg.fonttype": "path",
}


def save(values: pd.DataFrame, folder: Path) -> None:
    """Draw spectra.svg and spectra.png."""
    with mpl.rc_context(SETTINGS):
        figure = draw(values)
        for suffix, metadata in (("svg", {"Date": None}), ("png", {})):
            figure.savefig(
                folder / f"spectra.{suffix}", dpi=160, facecolor="white", metadata=metadata
            )


def draw(values: pd.DataFrame) -> Figure:
    """Return the figure."""
    figure = Figure(figsize=(11, 6.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, len(SHOWN), sharex="col", height_ratios=(3, 2))
    for (kind, size, title), (above, below) in zip(SHOWN, panels.T, strict=True):
        part = values[(values["kind"] == kind) & (values["size"] == size)]
        part = part[part["length"] == part["length"].min()]
        draw_spectrum(above, part)
        draw_errors(below, part)
        above.set_title(
            f"{title}: {size} × {size}, {part['length'].iloc[0]} steps", loc="left", fontsize=10
        )
        below.set_xlabel("rank of the singular value")
    panels[0, 0].set_ylabel("log σ  (nats)")
    panels[1, 0].set_ylabel("error of log σ  (nats)")
    upper, lower = (axes.get_legend_handles_labels() for axes in panels[:, 0])
    handles, labels = upper[0] + lower[0], upper[1] + lower[1]
    figure.legend(
        handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, fontsize=9
    )
    return figure


def draw_spectrum(axes: Axes, part: pd.DataFrame) -> None:
    """Draw the values of all methods over the exact ones, and the floor of float64."""
    rank, exact = part["rank"].to_numpy(), part["exact"].to_numpy()
    axes.plot(rank, exact, color=EXACT, linewidth=7, solid_capstyle="round", label="exact")
    for name, label, colour, marker in METHODS:
        logs = part[name].to_numpy()
        axes.plot(
            rank,
            np.where(np.isfinite(logs), logs, np.nan),
            linestyle="none",
            marker=marker,
            markersize=3.2,
            color=colour,
            label=label,
        )
    floor = exact[0] + np.log(np.finfo(float).eps)
    axes.axhline(floor, color=NAIVE, linewidth=1.0, linestyle=(0, (4, 3)), label="σ₁ · 2⁻⁵²")


def draw_errors(axes: Axes, part: pd.DataFrame) -> None:
    """Draw the distance of each method's values from the exact ones."""
    rank, exact = part["rank"].to_numpy(), part["exact"].to_numpy()
    for name, _, colour, marker in METHODS:
        logs = part[name].to_numpy()
        if np.isnan(logs).all():
            continue
        off = np.clip(distance(logs, exact), LEAST, MOST)
        axes.plot(rank, off, linestyle="none", marker=marker, markersize=3.2, color=colour)
    axes.plot(
        rank,
        part["stated_error"],
        color=OURS,
        linewidth=1.0,
        linestyle=(0, (1.2, 1.6)),
        label="error that gradprobe states",
    )
    axes.axhline(1e-9, color=MUTED, linewidth=0.8)
    axes.set_yscale("log")
    axes.set_ylim(LEAST / 3, MOST * 3)
    axes.set_yticks(decades())


def decades() -> Sequence[float]:
    """Return the ticks of the errors."""
    return [10.0**power for power in range(-16, 5, 4)]
