"""The eigenvalue moduli of the end-to-end Jacobian over its length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe.reports.figures.curves import draw_curves
from gradprobe.reports.figures.ends import height_for
from gradprobe.reports.figures.style import MUTED, axes_within, drawing, look, pixels
from gradprobe.reports.series import bands, position, present
from gradprobe.reports.verdicts import KEPT, LOST

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd
    from matplotlib.figure import Figure

LABELS = {
    "log_mean_modulus": "log of the mean of |λ|",
    "log_std_modulus": "log of the standard deviation of |λ|",
}
FAILED = " (did not learn)"


def eigenvalue_moduli(
    table: pd.DataFrame,
    quantity: str = "log_mean_modulus",
    *,
    failed: Collection[str] = (),
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
        Series that did not learn: drawn with crosses, and named so.
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
    >>> figure = eigenvalue_moduli(at_the_end(example_moduli().table), failed=["LSTM"])
    >>> figure.axes[0].get_xlabel()
    'length T'
    """
    band = moduli_band(table, quantity)
    names = {name: name + FAILED * (name in failed) for name in band["series"].cat.categories}
    marked = band.assign(series=band["series"].cat.rename_categories(names))
    with drawing():
        figure = pixels(width, height_for(len(present(marked)), height, 70))
        axes = axes_within(figure, left=64, right=room, bottom=48, top=14)
        draw_curves(axes, marked, at_least=(-1.0, 1.0), window=window, room=room)
        for name, rows in marked[marked["resolved"]].groupby("series", observed=True):
            style = look(position(marked, str(name)))
            cross = str(name).endswith(FAILED)
            axes.plot(
                rows["x"],
                rows["median"],
                "x" if cross else style.marker,
                color=style.colour,
                markersize=8 if cross else 5,
                markeredgewidth=2 if cross else 0,
            )
        axes.axhline(0, color=MUTED, linewidth=0.8)
        lengths = sorted(set(band["x"]))
        axes.set_xticks(lengths, [f"{length:,}" for length in lengths])
        axes.set_xlim(0.92 * lengths[0], 1.03 * lengths[-1])
        axes.set(xlabel="length T", ylabel=LABELS[quantity])
    return figure


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
