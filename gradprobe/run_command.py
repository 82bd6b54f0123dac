"""The command ``gradprobe run``: a study, its progress, its report."""

from __future__ import annotations

import enum
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradprobe import reports, studies
from gradprobe.command import WRONG_CALL, failure, reported
from gradprobe.report_command import REPORT_NAME
from gradprobe.store_commands import (
    AddressOption,
    CellsOption,
    CpusOption,
    EngineOption,
    GpusOption,
    WaitOption,
    WorkersOption,
    closing_failure,
    run_cells,
)
from gradprobe.studies.engines.base import EngineOptions
from gradprobe.studies.event_log import EventLog
from gradprobe.studies.own_cells import with_cell_files

if TYPE_CHECKING:
    from gradprobe.studies.reporters import Detail

RUN_EXIT_CODES = (
    "Exit codes: 0 all is well; 2 the call or a file is wrong; 3 some cells failed, so that results"
    " are missing; 130 and 143 interrupted: the same command goes on."
)


class Log(enum.StrEnum):
    """How progress is told."""

    TEXT = "text"
    JSON = "json"


@reported
def run(  # noqa: PLR0917 - typer passes options by name
    study: Annotated[
        Path,
        typer.Argument(
            metavar="STUDY", help="A study file, for example studies/gradient_decay.toml."
        ),
    ],
    results: Annotated[
        Path | None,
        typer.Option(
            help="The folder for the results; results/NAME, after the study's name, if not given."
        ),
    ] = None,
    workers: WorkersOption = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change the study first: a dotted key and a value in TOML's notation, such as "
            "training.iterations=10, models.GRU.hidden_size=64 (a model by its label, or without "
            "one all of them), 'grid.seeds=[0, 1]'.  Repeat it for several.  The results keep the "
            "changed study.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print the grid, what is stored already and how long the rest will take, measured "
            "on a few steps of some cells; write nothing.",
        ),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show no progress, only what goes wrong.")
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", help="Show every cell that ends, and trainings more often."
        ),
    ] = False,
    log: Annotated[
        Log,
        typer.Option(
            help="json: write a JSON object per event in a line to standard output, in place of "
            "progress on standard error."
        ),
    ] = Log.TEXT,
    engine: EngineOption = "local",
    address: AddressOption = None,
    cpus_per_cell: CpusOption = None,
    gpus_per_cell: GpusOption = 0.0,
    wait: WaitOption = False,
    cells: CellsOption = None,
) -> None:
    """Run a study, or go on with it, and write its report.

    A study measures several models on several tasks at several seeds, trained or not.  Each of
    these cells is stored as soon as it is finished, and a training saves checkpoints, so a run can
    be interrupted at any time; the same command goes on with what is missing.  Standard output ends
    with the path of the report, one HTML file.
    """
    if quiet and verbose:
        raise failure("error: give either --quiet or --verbose", WRONG_CALL)
    checked = with_cell_files(studies.load_study(study, changes or ()), cells or ())
    folder = Path("results") / checked.name if results is None else results
    if dry_run:
        _tell_plan(checked, folder, workers)
        return
    detail: Detail = "quiet" if quiet else "verbose" if verbose else "usual"
    events = sys.stdout if log is Log.JSON else None
    options = EngineOptions(engine, address, cpus_per_cell, gpus_per_cell)
    reporter = studies.reporter(sys.stderr, detail, events=events)
    summary = run_cells(checked, folder, reporter, workers, options, wait=wait)
    if summary.finished:
        path = reports.write_report(folder, folder / REPORT_NAME)
        if log is Log.TEXT:
            print(path)
        else:
            EventLog(sys.stdout).write("reported", path=str(path))
    if summary.failures:
        raise closing_failure(summary, folder, checked.name, cells or ())


def _tell_plan(study: studies.Study, folder: Path, workers: int | None) -> None:
    """Print the grid at once, and what it costs when that is measured."""
    from gradprobe.studies.engines.local import usable_cores  # noqa: PLC0415 - only here
    from gradprobe.studies.estimate import cost_in_words, grid_in_words  # noqa: PLC0415 - only here
    from gradprobe.studies.grid import cells  # noqa: PLC0415 - only here is pydantic needed
    from gradprobe.studies.writer import stored_before  # noqa: PLC0415 - only here

    stored = stored_before(folder)
    for line in grid_in_words(study, stored, folder):
        print(line, flush=True)
    known = stored.finished | set(stored.failed)
    waiting = [cell for cell in cells(study) if cell.hash not in known]
    count = workers or max(1, usable_cores() // study.grid.threads_per_cell)
    for line in cost_in_words(study, waiting, count):
        print(line)
