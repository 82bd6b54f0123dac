"""Texts that stand for the maps, areas, Lyapunov spectra and costs; from the same numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe.reports.costs import cost_names
from gradprobe.reports.figures.attribution import NAMES
from gradprobe.reports.figures.spectrum_map import CLASSES
from gradprobe.reports.numbers import logarithm, percent, plural, printable, significant

if TYPE_CHECKING:
    import pandas as pd

    from gradprobe.reports.figures.spectrum_map import Run

_MOST = 12


def spectrum_map(runs: list[Run]) -> str:
    """Describe the map of one series: the shares of the classes at the shortest and longest T.

    Examples
    --------
    >>> from gradprobe.reports.figures.spectrum_map import Run
    >>> spectrum_map([Run(10, 0.0, 1.0, 3), Run(99, 0.0, 0.25, 3), Run(99, 0.25, 1.0, 0)])[:77]
    'At T = 10: 100 % of log σ −2.3 to 2.3. At T = 99: 75 % of log σ below −16.6, '
    """
    lengths = sorted({run.length for run in runs})
    return " ".join(_column(runs, length) for length in dict.fromkeys([lengths[0], lengths[-1]]))


def _column(runs: list[Run], length: int) -> str:
    shares: dict[int, float] = {}
    for run in runs:
        if run.length == length:
            shares[run.kind] = shares.get(run.kind, 0.0) + run.end - run.start
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    parts = [f"{percent(share, 1)} {CLASSES[kind].split(':')[0]}" for kind, share in ranked]
    parts[0] = parts[0].replace(" %", " % of log σ", 1)
    return f"At T = {length}: {', '.join(parts)}."


def attribution(rows: pd.DataFrame) -> str:
    """Describe the areas of one series at the last step.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"step": [9], "total": [-3.0], "log_growth_reference": [1.0],
    ...                      "log_growth_activation": [-4.0], "log_growth_carry": [0.0], "runs": 2})
    >>> attribution(rows)
    'After 9 steps: sum −3.00, recurrent matrix 1.00, activation −4.00, carry 0.00; 2 runs.'
    """
    last = rows.sort_values("step").iloc[-1]
    parts = [f"{name} {logarithm(float(last[quantity]))}" for quantity, name in NAMES.items()]
    return (
        f"After {plural(int(last['step']), 'step')}: sum {logarithm(float(last['total']))}, "
        f"{', '.join(parts)}; {plural(int(last['runs']), 'run')}."
    )


def lyapunov(band: pd.DataFrame) -> str:
    """Describe the Lyapunov spectra: the largest and the smallest exponent of each series.

    Examples
    --------
    >>> import pandas as pd
    >>> band = pd.DataFrame({"series": "tanh", "x": [1, 2], "median": [0.1, -0.5]})
    >>> lyapunov(band)
    'From the largest to the smallest exponent: tanh 0.1 to −0.5 (rank 2).'
    """
    parts = []
    for name, rows in band.groupby("series", observed=True):
        ordered = rows.sort_values("x")
        first, last = ordered.iloc[0], ordered.iloc[-1]
        ends = f"{significant(first['median'])} to {significant(last['median'])}"
        parts.append(f"{name} {ends} (rank {int(last['x'])})")
    more = [f"and {len(parts) - _MOST} more"] if len(parts) > _MOST else []
    return f"From the largest to the smallest exponent: {'; '.join([*parts[:_MOST], *more])}."


def cost(rows: pd.DataFrame) -> str:
    """Describe the figure of the costs: the fastest and the slowest model.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"model": ["a", "b"], "task": "t", "seconds": [0.5, 0.001],
    ...                      "unit": "time step"})
    >>> cost(rows)
    'Seconds per time step: from 0.001 (b) to 0.5 (a).'
    """
    ordered = rows.assign(name=cost_names(rows)).sort_values("seconds")
    ends = dict.fromkeys([0, len(ordered) - 1])
    parts = [
        f"{significant(float(ordered['seconds'].iloc[place]))} "
        f"({printable(ordered['name'].iloc[place])})"
        for place in ends
    ]
    return f"Seconds per {rows['unit'].iloc[0]}: {'from ' if len(parts) > 1 else ''}" + (
        " to ".join(parts) + "."
    )
