"""Rebuild the table of accuracy: ``python reports/accuracy/rebuild.py``.

What arbitrary precision has computed is kept in ``results/accuracy`` as soon as it is there, so
that a run that was stopped goes on where it was; ``--fresh`` computes it again.  Needs python-flint
(the extra ``exact``).
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

import document
import kinds
import measuring
import pandas as pd
import spectra_figure
import torch
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

FOLDER = Path(__file__).parent
KEPT = FOLDER.parents[1] / "results" / "accuracy"
SEED = 0


def main() -> None:
    """Measure all products, and write the tables, the figure and the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="compute the references again")
    if parser.parse_args().fresh and KEPT.exists():
        shutil.rmtree(KEPT)
    torch.set_num_threads(1)
    started = time.monotonic()
    tables = measured(kinds.products(SEED), Console())
    values = pd.concat(tables, ignore_index=True)
    table = pd.DataFrame([measuring.summary(part) for part in tables])
    values.to_csv(FOLDER / "values.csv", index=False)
    table.to_csv(FOLDER / "table.csv", index=False)
    spectra_figure.save(values, FOLDER)
    document.write(table, FOLDER, SEED)
    Console().print(f"written to {FOLDER} after {time.monotonic() - started:.0f} s")


def measured(products: list[kinds.Product], console: Console) -> list[pd.DataFrame]:
    """Return the values of every product, showing which one is at work."""
    tables = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        for number, product in enumerate(products, start=1):
            task = progress.add_task(f"{number}/{len(products)}  {product.name}", total=1)
            tables.append(measuring.values(product, product.make(), KEPT))
            progress.update(task, completed=1)
    return tables


if __name__ == "__main__":
    main()
