"""``gradprobe report``: the report of stored results, alone or beside others."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads it at run time
from typing import Annotated

import typer

from gradprobe import reports
from gradprobe.command import MISSING_RESULTS, failure, reported
from gradprobe.errors import NotComparableError, NothingMeasuredError

REPORT_NAME = "report.html"
COMPARISON_NAME = "comparison.html"

REPORT_EXIT_CODES = (
    "Exit codes: 0 the report is written; 2 the call or a folder is wrong; 3 no cell is finished, "
    "or the results have nothing in common."
)


@reported
def report(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULTS...",
            help="Folders of results of gradprobe run; of several, the first is what the others "
            "are compared with.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The HTML file.  If not given: report.html in RESULTS, or comparison.html in the "
            "last of several.",
        ),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write report.md, every figure as SVG and PNG, and every table as CSV into this "
            "folder, too: for papers and pull requests.",
        ),
    ] = None,
) -> None:
    """Write the report of stored results, or of what changed between several.

    The report is one HTML file that needs no network.  The results may be incomplete; a run may be
    adding to them meanwhile.  Several folders are compared: what changed, by how much, and whether
    other seeds would have made as great a difference.
    """
    name = REPORT_NAME if len(results) == 1 else COMPARISON_NAME
    path = results[-1] / name if output is None else output
    try:
        reports.write_report(results, path, export)
    except NothingMeasuredError as error:
        raise failure(f"error: {error}", MISSING_RESULTS) from error
    except NotComparableError as error:
        raise failure(f"not comparable: {error}", MISSING_RESULTS) from error
    print(path)
    if export is not None:
        print(export / "report.md")
