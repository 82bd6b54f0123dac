"""Texts that stand for the figures where they cannot be seen; from the same numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradprobe.reports.numbers import logarithm, plural, significant
from gradprobe.reports.series import bands, gains, select

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

_MOST = 12


def norms(table: pd.DataFrame, matrix: str) -> str:
    """Describe the figure of the gradient's norm.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.series import with_series
    >>> norms(with_series(example_results(models=1).table), "end_to_end")
    'Median at the right edge: vanilla −121 (range −122 to −120).'
    """
    rows = gains(table, matrix)
    end = rows[rows["step"] == (rows["length"] if matrix == "end_to_end" else 0)]
    return _ends(bands(end, "length"), logarithm)


def real_parts(table: pd.DataFrame, matrix: str) -> str:
    """Describe the figure of the largest real part.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.series import with_series
    >>> real_parts(with_series(example_results(models=1).table), "step")[:32]
    'Median over all steps: vanilla 0'
    """
    rows = select(table, "real_max", matrix, longest=True)
    text = _ends(bands(rows, "length"), significant)
    return text.replace("at the right edge", "over all steps")


def spectrum(sigma: pd.DataFrame) -> str:
    """Describe the spectrum of one series at its longest length.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.series import with_series
    >>> table = with_series(example_results(models=1).table)
    >>> spectrum(select(table, "log_sigma"))
    'At T = 1000, log σ falls from −120 (rank 1) to −1520 (rank 16); all are resolved.'
    """
    last = sigma[sigma["length"] == sigma["length"].max()]
    band = bands(last, "rank")
    zeros = int(np.isneginf(band["median"]).sum())
    open_ = int((~band["resolved"]).sum())
    notes = [f"{plural(zeros, 'rank')} at −∞"] if zeros else []
    notes.append(f"{plural(open_, 'rank')} not resolved" if open_ else "all are resolved")
    first, end = float(band["median"].iloc[0]), float(band["median"].iloc[-1])
    return (
        f"At T = {int(last['length'].max())}, log σ falls from {logarithm(first)} (rank 1) to "
        f"{logarithm(end)} (rank {len(band)}); {', '.join(notes)}."
    )


def eigenvalues(points: pd.DataFrame) -> str:
    """Describe the eigenvalues of one series.

    Examples
    --------
    >>> import pandas as pd
    >>> points = pd.DataFrame(
    ...     {"real": [0.5, -2.0], "imag": [0.0, 1.0], "modulus": [0.5, 2.2], "matrix": "step"}
    ... )
    >>> eigenvalues(points)
    '2 eigenvalues; Re λ from −2 to 0.5, Im λ from 0 to 1; |λ| ≤ 1 for 1 of them.'
    """
    name = "|1 + ελ|" if points["matrix"].iloc[0] == "vector_field" else "|λ|"
    inside = int((points["modulus"] <= 1).sum())
    real, imag = points["real"], points["imag"]
    return (
        f"{plural(len(points), 'eigenvalue')}; Re λ from {significant(real.min())} to "
        f"{significant(real.max())}, Im λ from {significant(imag.min())} to "
        f"{significant(imag.max())}; {name} ≤ 1 for {inside} of them."
    )


def _ends(band: pd.DataFrame, write: Callable[[float], str]) -> str:
    parts = [
        f"{name} {write(median)} (range {write(low)} to {write(high)})"
        for name, median, low, high in zip(
            *(band[column].head(_MOST) for column in ("series", "median", "low", "high")),
            strict=True,
        )
    ]
    more = f"; and {len(band) - _MOST} more" if len(band) > _MOST else ""
    return f"Median at the right edge: {'; '.join(parts)}{more}."
