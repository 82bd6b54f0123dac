"""What could not be determined: counted per series, quantity and length."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradprobe.reports.numbers import NOTHING, percent, significant

if TYPE_CHECKING:
    import pandas as pd

_WORDS = {
    "log_sigma": "singular values",
    "log_norm_fro": "Frobenius norms",
    "log_norm_spectral": "spectral norms",
    "real": "eigenvalues, real parts",
    "imag": "eigenvalues, imaginary parts",
    "modulus": "eigenvalues, |λ|",
    "euler_modulus": "eigenvalues, |1 + ελ|",
    "real_max": "eigenvalues, largest real part",
    "real_mean": "eigenvalues, mean real part",
    "real_std": "eigenvalues, spread of the real parts",
}
_MATRICES = {
    ("end_to_end", "state"): "∂s_T/∂s_0",
    ("end_to_end", "hidden"): "∂h_T/∂h_0",
    ("tail", "state"): "∂s_T/∂s_t",
    ("tail", "hidden"): "∂h_T/∂h_t",
    ("step", "state"): "J_t",
    ("vector_field", "state"): "F_t",
}
_KEYS = ["series", "quantity", "matrix", "block"]


class OpenQuantity(NamedTuple):
    """A quantity of a series of which some values are not resolved."""

    series: str
    quantity: str
    counts: list[str]
    share: str
    error: str


class Unresolved(NamedTuple):
    """The lengths, and a row for each quantity with unresolved values."""

    lengths: list[int]
    rows: list[OpenQuantity]


def unresolved(table: pd.DataFrame) -> Unresolved:
    """Count what is not resolved.

    Parameters
    ----------
    table
        A table with its column ``series``.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.series import with_series
    >>> found = unresolved(with_series(example_results(models=2).table))
    >>> found.rows[0].quantity, found.rows[0].counts, found.rows[0].error
    ('singular values of ∂s_T/∂s_0', ['12 of 64', '12 of 64', '12 of 64'], '30')
    """
    open_ = ~table["resolved"].fillna(True).astype(bool) | table["value"].isna()
    counted = table.assign(open=open_).groupby([*_KEYS, "length"], observed=True, dropna=False)
    counts = counted["open"].agg(["sum", "size"]).reset_index()
    errors = table[open_].groupby(_KEYS, observed=True, dropna=False)["error"].median().to_dict()
    lengths = sorted({int(length) for length in counts["length"]})
    rows = []
    for key, mine in counts.groupby(_KEYS, observed=True, dropna=False):
        name, quantity, matrix, block = (str(part) for part in key)
        open_count = int(mine["sum"].sum())
        if not open_count:
            continue
        cells = [_cell(mine[mine["length"] == length]) for length in lengths]
        words = _WORDS.get(quantity, quantity)
        of = _MATRICES.get((matrix, block), f"{matrix} ({block})")
        rows.append(
            OpenQuantity(
                name,
                f"{words} of {of}",
                cells,
                percent(open_count, int(mine["size"].sum())),
                _error(float(errors[key])),
            )
        )
    return Unresolved(lengths, rows)


def _cell(counts: pd.DataFrame) -> str:
    if counts.empty:
        return NOTHING
    open_, size = int(counts["sum"].iloc[0]), int(counts["size"].iloc[0])
    return f"{open_} of {size}" if open_ else "0"


def _error(value: float) -> str:
    return "no bound" if np.isnan(value) or np.isinf(value) else significant(value)
