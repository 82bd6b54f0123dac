"""The eigenvalue moduli of the end-to-end Jacobian over its length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradprobe.reports.figures.curves import draw_curves
from gradprobe.reports.figures.ends import height_for
from gradprobe.reports.figures.style import MUTED, axes_within, drawing, look, marked, pixels
from gradprobe.reports.series import bands, position, present
from gradprobe.reports.verdicts import KEPT, LOST

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABELS = {
    "log_mean_modulus": "log of the mean of |λ|",
    "log_std_modulus": "log of the standard deviation of |λ|",
}
FAILED = "✗ "
"""What stands before the name of a series whose models learned at no length."""


def eigenvalue_moduli(
    table: pd.DataFrame,
    quantity: str = "log_mean_modulus",
    *,
    failed: Collection[tuple[str, int]] = (),
    window: tuple[float, float] | None = None,
    width: float = 760,
    height: float = 320,
    room: float = 265,
) -> Figure:
    """Draw mean or spread of |λ_i(∂s_T/∂s_0)| over T, natural logarithm: median and range.

    Parameters
    ----------
    table
        Rows of the probe ``end_to_end_eigenvalues`` with their column ``series``.
    quantity
        ``log_mean_modulus`` or ``log_std_modulus``.
    failed
        Series and lengths whose models did not learn, of `gradprobe.reports.trainings.not_learned`:
        drawn with crosses; a series that learned at no length has one before its name.
    window
        Show only these values, to enlarge the models that survive.
    width, height
        Size in CSS pixels; the height grows with the number of series.
    room
        Width at the right that the labels take.

    References
    ----------
    Chang, Chen, Haber, Chi, "AntisymmetricRNN", ICLR 2019 (mean and standard deviation of the
    eigenvalues of the end-to-end Jacobian of trained models).

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_moduli
    >>> from gradprobe.reports.trainings import at_the_end
    >>> figure = eigenvalue_moduli(at_the_end(example_moduli().table), failed=[("LSTM", 100)])
    >>> figure.axes[0].get_xlabel()
    'length T'
    """
    band = moduli_band(table, quantity)
    names = named(band, failed)
    with drawing():
        figure = pixels(width, height_for(len(present(band)), height, 70))
        axes = axes_within(figure, left=64, right=room, bottom=48, top=14)
        draw_curves(axes, band, at_least=(-1.0, 1.0), window=window, room=room, labels=names)
        for name, rows in band[band["resolved"]].groupby("series", observed=True):
            style = look(position(band, str(name)))
            failing = [(name, x) in failed for x in rows["x"]]
            with marked(axes, str(name)):
                _marks(axes, rows[failing], "x", style.colour)
                _marks(axes, rows[~np.array(failing)], style.marker, style.colour)
        axes.axhline(0, color=MUTED, linewidth=0.8)
        lengths = sorted(set(band["x"]))
        axes.set_xticks(lengths, [f"{length:,}" for length in lengths])
        axes.set_xlim(0.92 * lengths[0], 1.03 * lengths[-1])
        axes.set(xlabel="length T", ylabel=LABELS[quantity])
    return figure


def named(band: pd.DataFrame, failed: Collection[tuple[str, int]]) -> dict[str, str]:
    """Return the name of each series, with a note if its models learned at no length.

    Examples
    --------
    >>> import pandas as pd
    >>> band = pd.DataFrame({"series": pd.Categorical(["a", "a", "b"]), "x": [1, 2, 1]})
    >>> named(band, [("a", 1), ("b", 1)])
    {'a': 'a', 'b': '✗ b'}
    """
    lengths = band.groupby("series", observed=False)["x"].unique()
    return {
        str(name): f"{FAILED}{name}"
        if len(own) and all((name, x) in failed for x in own)
        else str(name)
        for name, own in lengths.items()
    }


def moduli_band(table: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Return median and range of a quantity over seeds and sequences, for each series and T.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_moduli
    >>> from gradprobe.reports.trainings import at_the_end
    >>> len(moduli_band(at_the_end(example_moduli().table), "log_mean_modulus"))
    12
    """
    band = bands(table[table["quantity"] == quantity], "length")
    return band.assign(x=band["length"].astype(int)).sort_values(["series", "x"], ignore_index=True)


def _marks(axes: Axes, rows: pd.DataFrame, marker: str, colour: str) -> None:
    cross = marker == "x"
    size, edge = (8, 2) if cross else (5, 0)
    axes.plot(
        rows["x"], rows["median"], marker, color=colour, markersize=size, markeredgewidth=edge
    )


def moduli_window(table: pd.DataFrame, quantity: str) -> tuple[float, float] | None:
    """Return heights that enlarge the series that stay near one; None if it would not help.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_moduli
    >>> from gradprobe.reports.trainings import at_the_end
    >>> low, high = moduli_window(at_the_end(example_moduli().table), "log_mean_modulus")
    >>> -10 < low < 0 < high < 10
    True
    """
    band = moduli_band(table, quantity)
    groups = band.groupby("series", observed=True)
    low, high = groups["low"].min().to_numpy(), groups["high"].max().to_numpy()
    calm = (low >= -LOST) & (high <= LOST)
    if not calm.any() or calm.all():
        return None
    return min(float(low[calm].min()), -KEPT) * 1.1, max(float(high[calm].max()), KEPT) * 1.1
