"""One row of the table: every value of a product by every method, and by the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import methods
import numpy as np
import pandas as pd
import product_families as families

if TYPE_CHECKING:
    from pathlib import Path

    from kinds import Product
    from product_families import Steps

LIMIT = 1e-9
"""What counts as right, and as determined: the largest error or movement, in nats."""

RIVALS = {
    "naive_svd": methods.naive_svd,
    "qr_diagonal": methods.qr_diagonal,
    "scaled_svd": methods.scaled_svd,
}


def reference(product: Product, steps: Steps, folder: Path) -> pd.DataFrame:
    """Return the exact values and how far rounding moves them; what was computed once is kept."""
    file = folder / f"{product.digest(steps)}.csv"
    if not file.exists():
        exact = families.reference(steps, product.block)
        table = pd.DataFrame(
            {
                "exact": exact,
                "moved_by_norm": families.sensitivity(steps, exact, product.block),
                "moved_by_entry": families.sensitivity_to_entries(steps, exact, product.block),
            }
        )
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".unfinished")
        table.to_csv(unfinished, index=False)
        unfinished.replace(file)
    return pd.read_csv(file, engine="pyarrow")


def values(product: Product, steps: Steps, folder: Path) -> pd.DataFrame:
    """Return one row per singular value."""
    table = reference(product, steps, folder)
    for name, method in RIVALS.items():
        table[name] = method(steps, product.block)
    spectrum = methods.ours(steps, product.block)
    table["ours"] = spectrum.log_singular_values.numpy()
    table["stated_error"] = spectrum.error.numpy()
    table["resolved"] = spectrum.resolved.numpy()
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    table.insert(0, "length", product.length)
    table.insert(0, "size", product.size)
    table.insert(0, "kind", product.kind)
    return table


def summary(table: pd.DataFrame) -> dict[str, object]:
    """Return a row of the table from all values of one product."""
    exact = table["exact"].to_numpy()
    resolved = table["resolved"].to_numpy()
    by_norm = table["moved_by_norm"].to_numpy() <= LIMIT
    by_entry = table["moved_by_entry"].to_numpy() <= LIMIT
    off = families.distance(table["ours"].to_numpy(), exact)
    strict = table["stated_error"].to_numpy() <= LIMIT
    finite = exact[np.isfinite(exact)]
    return {
        **{name: table[name].iloc[0] for name in ("kind", "size", "length")},
        "values": len(table),
        "zeros": int(np.isneginf(exact).sum()),
        "largest": finite.max() if finite.size else -np.inf,
        "smallest_non_zero": finite.min() if finite.size else -np.inf,
        **{name: _worst_of(table, name, np.ones_like(resolved)) for name in RIVALS},
        "ours": _worst(off, np.ones_like(resolved)),
        **{f"{name}_where_determined": _worst_of(table, name, by_norm) for name in RIVALS},
        "ours_where_determined": _worst(off, by_norm),
        "ours_where_resolved": _worst(off, resolved),
        "ours_where_stated_below_limit": _worst(off, strict),
        "resolved": int(resolved.sum()),
        "stated_below_limit": int(strict.sum()),
        "determined_by_norm": int(by_norm.sum()),
        "determined_by_entry": int(by_entry.sum()),
        "determined_by_norm_not_resolved": int((by_norm & ~resolved).sum()),
        "determined_by_entry_not_resolved": int((by_entry & ~resolved).sum()),
        "off_by_more_than_stated": int((off > table["stated_error"].to_numpy()).sum()),
    }


def _worst_of(table: pd.DataFrame, name: str, where: np.ndarray) -> float:
    """Return the largest error of a rival; NaN if it has no values at all."""
    values = table[name].to_numpy()
    if np.isnan(values).all() and name == "qr_diagonal":
        return np.nan
    return _worst(families.distance(values, table["exact"].to_numpy()), where)


def _worst(off: np.ndarray, where: np.ndarray) -> float:
    return float(off[where].max()) if where.any() else np.nan
