"""From folders of results to a file: reading them, comparing them if they are several, writing."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from gradprobe.errors import ArgumentError, StoreError
from gradprobe.reports.comparison import compare_results
from gradprobe.reports.exported_files import export_report
from gradprobe.reports.merging import Named, merged, short_names
from gradprobe.reports.page import build_report, check_measured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradprobe.reports.comparison import Comparison
    from gradprobe.reports.contract import Results


def write_report(
    results_folders: str | Path | Sequence[str | Path],
    output_path: str | Path,
    export: str | Path | None = None,
) -> Path:
    """Read results and write their report, in one step: never half a file.

    Parameters
    ----------
    results_folders
        Of a study that was run; or several, of which the first is what the others are compared
        with.
    output_path
        The HTML file.
    export
        A folder for the same as Markdown, SVG, PNG and CSV; none if not given.

    Returns
    -------
    pathlib.Path
        `output_path`.

    Raises
    ------
    StoreError
        A folder cannot be read or holds no finished cell, or the file cannot be written.
    NotComparableError
        Of several results, some have nothing in common with the first.

    Examples
    --------
    >>> write_report("missing", "report.html")
    Traceback (most recent call last):
    ...
    gradprobe.errors.StoreError: missing: holds no results (results.sqlite is not there)
    """
    folders = (
        [results_folders] if isinstance(results_folders, str | Path) else list(results_folders)
    )
    results, comparison = read(folders)
    words = ["gradprobe", "report", *map(str, folders), "-o", str(output_path)]
    command = shlex.join([*words, *([] if export is None else ["--export", str(export)])])
    write_text(output_path, build_report(results, command, comparison))
    if export is not None:
        export_report(results, comparison, export, command)
    return Path(output_path)


def read(folders: Sequence[str | Path]) -> tuple[Results, Comparison | None]:
    """Return the results of folders; of several, all together, and what differs between them.

    Parameters
    ----------
    folders
        One or more.

    Raises
    ------
    ArgumentError, StoreError, NotComparableError
        See `write_report`.
    """
    from gradprobe.studies.store import read_results  # noqa: PLC0415 - opens the store only here

    if not folders:
        raise ArgumentError("a report needs at least one folder of results, got none")
    every = [
        Named(name, read_results(f)) for name, f in zip(short_names(folders), folders, strict=True)
    ]
    for _, results in every:
        check_measured(results)
    return together(every)


def together(every: Sequence[Named]) -> tuple[Results, Comparison | None]:
    """Return results as they are if there is one; else merged, with a comparison.

    Parameters
    ----------
    every
        Results and their names.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> results, comparison = together([Named("one", example_results(models=1, lengths=[8]))])
    >>> comparison is None
    True
    """
    if len(every) == 1:
        return every[0].results, None
    comparison = compare_results(every)
    return merged(every, comparison.unchanged), comparison


def write_text(path: str | Path, text: str) -> None:
    """Write a file so that nobody ever finds half of it.

    Parameters
    ----------
    path, text
        The file and its content.

    Raises
    ------
    StoreError
        The file cannot be written.
    """
    place = Path(path)
    temporary = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        temporary.replace(place)
    except OSError as error:
        raise StoreError(f"{path}: the report cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
