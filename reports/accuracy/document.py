"""The page: the table in Markdown, what its columns mean, and where the numbers come from."""

from __future__ import annotations

import math
from importlib.metadata import version
from typing import TYPE_CHECKING

import flint
from measuring import LIMIT

from gradprobe.studies.provenance import provenance

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

SHOWN_LIMIT = f"{LIMIT:.0e}".replace("e-0", "e-")
COMMAND = "python reports/accuracy/rebuild.py"

PAGE = """\
# Accuracy: the singular values of long products, against arbitrary precision

![Three spectra by four methods, and their errors](spectra.svg)

Above: the SVD of the accumulated product, scaled or not, finds nothing below σ₁ · 2⁻⁵² but noise,
which looks like values; sums of log|diag R| follow the spectrum, but are off by nats. Below: by how
much, log scale; errors of exactly zero stand at the lower edge, the grey line is 1e-9.

{verdict}

| product | S | T | log σ from … to | zeros | naive SVD | QR diagonal | scaled SVD | ours | ours, \
resolved | resolved | determined |
|---|---|---|---|---|---|---|---|---|---|---|---|
{rows}

The columns from *naive SVD* to *ours* give the worst error of log σ over all values, in nats; ∞
where a method overflows, says zero, or does not where the truth is zero; – where it has no value.

- **S**: size of the state, twice the units of an LSTM; its hidden block has S / 2 values. **T**:
  steps.
- **naive SVD**: of the product, accumulated in float64. **QR diagonal**: sums of log|diag R| of a
  sweep of QR factorisations, the usual way to Lyapunov exponents. **scaled SVD**: the product is
  divided by its norm after every step. **ours**: `gradprobe.linalg.GradedProduct`.
- **ours, resolved**: its worst error where it says `resolved` (its own estimate is at most 1e-6).
- **resolved**: how many values it says that of.
- **determined**: how many values move by at most {limit} when each J_t is moved by 2^-53 of its
  norm, in all entries alike: as much as can be asked of arithmetic that rounds like this. In
  parentheses, how many do so when each entry moves by a unit in its last place and zeros stay: what
  the float64 matrices themselves determine. Both by arbitrary precision.

The reference multiplies the float64 matrices as integers, without any rounding, and takes the
singular values at as many bits as they need (`gradprobe.linalg.arbitrary_precision`). The option
`exact=True` of the probe `singular_values` does the same for what float64 leaves unresolved.

`values.csv` holds every value by every method, its exact value and how far rounding moves it;
`table.csv` is the table with more columns, such as all methods' errors over determined values.

## How it was made

`{command}`, about ten minutes on one core ({core}).
Seed {seed} for every product (`kinds.py`, `product_families.py`); 99 and 98 for perturbations;
0 for our own. Commit {commit}.
{versions}.
"""


def write(table: pd.DataFrame, folder: Path, seed: int) -> None:
    """Write README.md."""
    source = provenance()
    versions = {**source["versions"], "python-flint": version("python-flint")}
    versions["FLINT"] = flint.__FLINT_VERSION__
    used = ("gradprobe", "python", "torch", "numpy", "scipy", "python-flint", "FLINT")
    page = PAGE.format(
        verdict=verdict(table),
        rows="\n".join(row(values) for _, values in table.iterrows()),
        limit=SHOWN_LIMIT,
        command=COMMAND,
        core=source["machine"]["processor"],
        seed=seed,
        commit=commit(source["commit"]),
        versions=", ".join(f"{name} {versions[name]}" for name in used),
    )
    (folder / "README.md").write_text(page, encoding="utf-8")


def verdict(table: pd.DataFrame) -> str:
    """Say in words whether ours keeps its promises."""
    worst = table["ours_where_resolved"].max()
    determined = int(table["determined_by_norm"].sum())
    missing = int(table["determined_by_norm_not_resolved"].sum())
    beyond = int(table["off_by_more_than_stated"].sum())
    honesty = f"{beyond} are" if beyond else "None is"
    return (
        f"Of {int(table['values'].sum())} singular values, ours resolves "
        f"{int(table['resolved'].sum())}, the worst of them off by {worst:.1e} in log σ; of "
        f"{determined} that rounding of the steps moves by at most {SHOWN_LIMIT}, it fails to "
        f"resolve {missing}. {honesty} farther off than stated."
    )


def row(values: pd.Series[float]) -> str:
    """Return a line of the table."""
    span = f"{values['largest']:.0f} … {values['smallest_non_zero']:.0f}"
    methods = ("naive_svd", "qr_diagonal", "scaled_svd", "ours", "ours_where_resolved")
    cells = [
        values["kind"],
        values["size"],
        values["length"],
        span if math.isfinite(values["largest"]) else "–",
        values["zeros"],
        *(number(values[name]) for name in methods),
        f"{values['resolved']} of {values['values']}",
        f"{values['determined_by_norm']} ({values['determined_by_entry']})",
    ]
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def number(value: float) -> str:
    """Show an error."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞"
    return f"{value:.0f}" if value >= 10 else f"{value:.1e}" if value < 0.1 else f"{value:.1f}"


def commit(known: dict[str, object] | None) -> str:
    """Name the commit."""
    if known is None:
        return "not known"
    return f"`{known['hash']}`{', modified since' if known['modified'] else ''}"
