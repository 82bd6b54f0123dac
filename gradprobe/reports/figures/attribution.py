"""Why the gradient's leading direction decays: the parts of its growth, summed over the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gradprobe.reports.figures.panels import panels
from gradprobe.reports.figures.style import INK, MUTED, PARTS, drawing
from gradprobe.reports.series import RUN, present, select

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = {
    "log_growth_reference": "recurrent matrix",
    "log_growth_activation": "activation",
    "log_growth_carry": "carry",
}
"""The parts of a step's growth, of the probe ``decay_attribution``."""

_POINTS = 80


def decay_areas(
    table: pd.DataFrame, *, width: float = 235, height: float = 200, legend: bool = True
) -> Figure:
    """Draw the parts of log σ₁(M_T) as areas stacked over t, a panel per series, at the longest T.

    What adds to the growth is stacked upwards from zero, what takes from it downwards; the line is
    their sum, the growth of the leading direction up to step t.

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
    >>> from gradprobe import frame
    >>> from gradprobe.reports.series import with_series
    >>> rows = [
    ...     frame.rows(model="tanh", quantity=quantity, matrix="step", length=4, step=range(1, 5),
    ...                sequence=0, block="state", value=value, resolved=True)
    ...     for quantity, value in {"log_growth": -1.0, "log_growth_reference": 0.5,
    ...                             "log_growth_activation": -1.5, "log_growth_carry": 0.0}.items()
    ... ]
    >>> figure = decay_areas(with_series(frame.concatenate(rows)))
    >>> figure.axes[0].get_lines()[-1].get_ydata().tolist()
    [0.0, -1.0, -2.0, -3.0, -4.0]
    """
    parts = attribution_sums(table)
    with drawing():
        names = present(parts)
        figure, axes = panels([*names, *(["parts"] if legend else [])], width, height)
        for name, place in zip(names, axes, strict=False):
            _panel(place, parts[parts["series"] == name])
        if legend and names:
            axes[-1].set_axis_off()
            handles = axes[0].get_legend_handles_labels()
            axes[-1].legend(*handles, loc="upper left", frameon=False, fontsize=10)
    return figure


def attribution_sums(table: pd.DataFrame) -> pd.DataFrame:
    """Return the parts summed over the steps 1 … t, as means over the runs that have them all.

    Means, since these add up.  A run, of one seed and sequence, counts if all its steps and parts
    are finite and resolved.

    Parameters
    ----------
    table
        A table with its column ``series``.

    Returns
    -------
    pandas.DataFrame
        Columns ``series``, ``step`` (from 0), ``total``, the three parts, ``runs`` and
        ``left_out``, the numbers of runs that count and that do not.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.series import with_series
    >>> len(attribution_sums(with_series(example_results(models=1, lengths=[8]).table)))
    0
    """
    mine = table[table["quantity"].isin(["log_growth", *NAMES])]
    every = [select(mine, quantity, "step", longest=True) for quantity in ("log_growth", *NAMES)]
    rows = pd.concat(every)
    if rows.empty:
        return pd.DataFrame({"series": pd.Categorical([])}).reindex(columns=_COLUMNS)
    sound = rows["value"].map(np.isfinite) & rows["resolved"].fillna(True).astype(bool)
    rows = rows.assign(bad=~sound)
    whole = rows.groupby(RUN, observed=True, dropna=False)["bad"].transform("any")
    counts = rows.assign(bad=whole).drop_duplicates(RUN).groupby("series", observed=True)["bad"]
    kept = rows[~whole]
    means = kept.pivot_table(
        index=["series", "step"], columns="quantity", values="value", observed=True
    )
    sums = means.groupby(level="series", observed=True).cumsum().reset_index()
    starts = sums.drop_duplicates("series").assign(step=0)
    starts = starts.assign(**dict.fromkeys(means.columns, 0.0))
    both = pd.concat([starts, sums], ignore_index=True).sort_values(["series", "step"])
    both = both.rename(columns={"log_growth": "total"}, errors="ignore")
    return both.assign(
        runs=both["series"].map(counts.size() - counts.sum()).astype(int),
        left_out=both["series"].map(counts.sum()).astype(int),
    )[_COLUMNS].reset_index(drop=True)


_COLUMNS = ["series", "step", "total", *NAMES, "runs", "left_out"]


def _panel(axes: Axes, rows: pd.DataFrame) -> None:
    rows = rows.sort_values("step")
    kept = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _POINTS)).round().astype(int))
    x = rows["step"].to_numpy(dtype=float)[kept]
    stacked = {1: np.zeros(len(x)), -1: np.zeros(len(x))}
    for (quantity, label), colour in zip(NAMES.items(), PARTS, strict=True):
        value = rows[quantity].to_numpy(dtype=float)[kept]
        axes.fill_between(x, 0, 0, color=colour, linewidth=0, alpha=0.75, label=label)
        for sign, base in stacked.items():
            part = np.where(sign * value > 0, value, 0.0)
            if part.any():
                axes.fill_between(x, base, base + part, color=colour, linewidth=0, alpha=0.75)
                stacked[sign] = base + part
    axes.axhline(0, color=MUTED, linewidth=0.8)
    total = rows["total"].to_numpy(dtype=float)[kept]
    axes.plot(x, total, color=INK, linewidth=1.5, label="their sum")
    axes.set_xlim(0, max(x.max(), 1))
    axes.set(xlabel="step t", ylabel="log growth")
