"""Where the monitor keeps its tables: in memory within a bound, or in a folder, at once."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from gradprobe import frame

if TYPE_CHECKING:
    import os


class Recordings:
    """One table for each recorded iteration.

    Parameters
    ----------
    folder
        Where each table is written, as Parquet, as soon as it is there; None keeps them in memory.
        Tables that lie there already, from before an interruption, belong to the whole.
    most_rows
        How many rows to keep in memory.  When there are more, every second table is dropped, with a
        warning, and `every` is doubled: the rest still spans the whole training evenly.
    first, every
        The iterations that are recorded: `first`, and every so many after it.

    Examples
    --------
    >>> recordings = Recordings(None, most_rows=100, first=0, every=10)
    >>> recordings.due(20), recordings.due(25)
    (True, False)
    >>> recordings.add(0, frame.rows(value=1.5))
    >>> recordings.frame()["value"].tolist()
    [1.5]
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | None,
        *,
        most_rows: int,
        first: int,
        every: int,
    ) -> None:
        self._folder = None if folder is None else Path(folder)
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
        self._most_rows = most_rows
        self._first = first
        self.every = every
        self._tables: dict[int, pd.DataFrame] = {}

    def due(self, iteration: int) -> bool:
        """Return whether an iteration is to be recorded."""
        return (iteration - self._first) % self.every == 0

    def add(self, iteration: int, table: pd.DataFrame) -> None:
        """Keep the table of an iteration, in the place of one that was there."""
        if self._folder is not None:
            write_parquet(table, self._folder / f"iteration-{iteration:012d}.parquet")
            return
        self._tables[iteration] = table
        while sum(map(len, self._tables.values())) > self._most_rows and len(self._tables) > 1:
            self._thin_out()

    def frame(self) -> pd.DataFrame:
        """Return all tables, one below the other."""
        if self._folder is None:
            tables = [self._tables[iteration] for iteration in sorted(self._tables)]
        else:
            files = sorted(self._folder.glob("iteration-*.parquet"))
            tables = [pd.read_parquet(file) for file in files]
        return frame.concatenate(tables)

    def _thin_out(self) -> None:
        self.every *= 2
        self._tables = {key: table for key, table in self._tables.items() if self.due(key)}
        warnings.warn(
            f"the monitor held more than {self._most_rows} rows: it dropped every second record, "
            f"and makes one every {self.every} iterations from now on; pass folder= to keep all of "
            "them on disk, or fewer sequences=",
            RuntimeWarning,
            stacklevel=2,
        )


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Write a table so that the file is either whole or not there.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_parquet(frame.rows(value=1.5), Path(folder) / "table.parquet")
    ...     pd.read_parquet(Path(folder) / "table.parquet")["value"].tolist()
    [1.5]
    """
    partial = path.with_name(path.name + ".partial")
    table.to_parquet(partial, index=False)
    partial.replace(path)
