"""``gradprobe status``, ``retry``, ``export`` and ``recover``: what a folder of results holds."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradprobe import studies
from gradprobe.command import MISSING_RESULTS, failure, reported
from gradprobe.errors import ArgumentError
from gradprobe.studies.engines.base import EngineOptions
from gradprobe.studies.interruption import InterruptedStudyError
from gradprobe.studies.own_cells import refuse_changed_files, with_cell_files
from gradprobe.studies.progress import in_brief, in_words, last_line, title
from gradprobe.studies.status import study_status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gradprobe.studies.progress import Reporter
    from gradprobe.studies.running import Summary
    from gradprobe.studies.schema import Study
    from gradprobe.studies.status import ActiveCell, ActiveRun, FailedCell, StudyStatus

CHARACTERS_OF_A_HASH = 12
FAILURES_SHOWN = 20

STATUS_EXIT_CODES = "Exit codes: 0 the status is told; 2 the call or the folder is wrong."
RETRY_EXIT_CODES = (
    "Exit codes: 0 all that was asked for is finished; 2 the call or the folder is wrong; 3 some "
    "cells failed again; 130 and 143 interrupted: the same command goes on."
)

Results = Annotated[
    Path, typer.Argument(metavar="RESULTS", help="A folder of results of gradprobe run.")
]
StudyOption = Annotated[
    str | None,
    typer.Option(
        "--study",
        metavar="NAME",
        help="One of the folder's studies, if it holds several; the one that ran last if not "
        "given.",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Cells that are computed at the same time; as many as there is room for if not given.",
    ),
]
EngineOption = Annotated[
    str,
    typer.Option(
        metavar="local|ray",
        help="Where cells are computed: in processes on this machine, or on a Ray cluster (extra "
        "ray), whose usage reporting is then switched off.",
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT|auto",
        help="The Ray cluster; a new one on this machine if not given.  Its machines must share "
        "the folder of the results.",
    ),
]
CpusOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        help="CPUs of the Ray cluster that a cell reserves; the study's threads per cell if not "
        "given.",
    ),
]
GpusOption = Annotated[
    float, typer.Option(min=0.0, help="Likewise of GPUs; a fraction lets cells share one.")
]
CellsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--cells",
        metavar="FILE.py",
        help="A Python file with cells of your own, which the study names MODULE:CELL; repeat it "
        "for several.  Its code is run: no study runs code that is not named here.",
    ),
]
WaitOption = Annotated[
    bool,
    typer.Option(
        "--wait", help="If another run is writing to the folder, wait for it to end, then go on."
    ),
]


@reported
def status(
    results: Results,
    study: StudyOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with whole tracebacks.")
    ] = False,
) -> None:
    """Tell how far a study is: finished, running, failed and why, left, time left.

    A run may be going on, also on another machine; nothing is written.
    """
    found = study_status(results, study)
    if as_json:
        print(json.dumps(dataclasses.asdict(found), indent=2))
        return
    for line in status_lines(found, results):
        print(line)


def status_lines(found: StudyStatus, results: Path) -> Iterator[str]:
    """Yield what ``gradprobe status`` prints.

    Parameters
    ----------
    found
        From `gradprobe.studies.status.study_status`.
    results
        The folder, as it was typed.

    Examples
    --------
    >>> from gradprobe.studies.status import StudyStatus
    >>> found = StudyStatus("digits", 60, 58, [], [], None, False, None)
    >>> list(status_lines(found, Path("results/digits")))
    ['digits: 58 of 60 cells finished, 2 left', 'no run is going on']
    """
    counts = {"failed": len(found.failed), "running": len(found.running), "left": found.left}
    told = "".join(f", {count} {word}" for word, count in counts.items() if count)
    yield f"{found.study}: {found.finished} of {found.total} cells finished{told}"
    yield _run_line(found, datetime.now(UTC))
    yield from (f"  {_active_line(cell)}" for cell in found.running)
    if found.failed:
        yield "failed:"
        yield from (f"  {_failed_line(cell)}" for cell in found.failed[:FAILURES_SHOWN])
        if len(found.failed) > FAILURES_SHOWN:
            yield f"  and {len(found.failed) - FAILURES_SHOWN} more: --json shows all"
        again = retry_command(results, found.study if found.others else None)
        yield f"`{again}` computes what failed again; a cell's hash after it, one"
    if found.others:
        yield f"other studies here: {', '.join(found.others)} (--study NAME)"


def _run_line(found: StudyStatus, now: datetime) -> str:
    run = found.run
    if run is None:
        return "no run is going on"
    where = f"process {run.process} on {run.host}"
    if not found.is_running:
        return (
            f"no run is going on: {where} was ended in the middle, {_ago(run, now)}; "
            "the same command goes on"
        )
    left = "" if found.seconds_left is None else f"; about {in_words(found.seconds_left)} left"
    return f"running: {where}, {run.engine} engine, {run.workers} at a time{left}"


def _ago(run: ActiveRun, now: datetime) -> str:
    return f"last heard of {in_words(run.silence(now))} ago"


def _active_line(cell: ActiveCell) -> str:
    seconds = (datetime.now(UTC) - datetime.fromisoformat(cell.since)).total_seconds()
    again = f", attempt {cell.attempt}" if cell.attempt > 1 else ""
    note = "" if cell.note is None else f": {in_brief(cell.note)}"
    return f"{_place(cell)}, for {in_words(max(0.0, seconds))}{again}{note}"


def _failed_line(cell: FailedCell) -> str:
    return f"{_place(cell)}: {cell.reason}"


def _place(cell: ActiveCell | FailedCell) -> str:
    return f"{cell.hash[:CHARACTERS_OF_A_HASH]}  {cell.label} on {cell.task}, seed {cell.seed}"


@reported
def retry(  # noqa: PLR0917 - typer passes options by name
    results: Results,
    cell: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CELL]...",
            help="The first characters of cells' hashes, as gradprobe status prints them; all that "
            "have failed if not given.",
        ),
    ] = None,
    study: StudyOption = None,
    workers: WorkersOption = None,
    engine: EngineOption = "local",
    address: AddressOption = None,
    cpus_per_cell: CpusOption = None,
    gpus_per_cell: GpusOption = 0.0,
    wait: WaitOption = False,
    cells: CellsOption = None,
) -> None:
    """Compute cells again that have failed, and nothing else.

    A training goes on from its last checkpoint.  Finished cells are never computed again.
    """
    stored = studies.read_results(results, study)
    chosen = chosen_cells(stored, cell or [])
    if not chosen:
        print("nothing has failed")
        return
    again = with_cell_files(stored.study, cells or ())
    refuse_changed_files(again, (one.specification for one in stored.missing if one.hash in chosen))
    options = EngineOptions(engine, address, cpus_per_cell, gpus_per_cell)
    reporter = studies.reporter(sys.stderr)
    summary = run_cells(again, results, reporter, workers, options, only=chosen, wait=wait)
    failed = [(one, reason) for one, reason in summary.failures if one.hash in chosen]
    print(f"{len(chosen) - len(failed)} of {len(chosen)} cells are finished now")
    if failed:
        still = dataclasses.replace(summary, failures=failed)
        raise closing_failure(still, results, stored.study.name, cells or ())


def chosen_cells(stored: studies.StudyResults, prefixes: list[str]) -> set[str]:
    """Return the hashes of the cells that were asked for.

    Parameters
    ----------
    stored
        What the folder holds.
    prefixes
        The first characters of hashes; for none, all that have failed are chosen.

    Raises
    ------
    ArgumentError
        No cell that is not finished begins so, or several do.
    """
    if not prefixes:
        return {record.hash for record in stored.cells if record.status == "failed"}
    return {_chosen_cell(stored, prefix) for prefix in prefixes}


def _chosen_cell(stored: studies.StudyResults, prefix: str) -> str:
    found = [cell.hash for cell in stored.missing if cell.hash.startswith(prefix.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        raise ArgumentError(f"{len(found)} cells begin with {prefix!r}: give more characters")
    finished = [record for record in stored.cells if record.hash.startswith(prefix.lower())]
    state = "is finished already" if finished else "is not one of this study's"
    raise ArgumentError(f"cell {prefix!r} {state}; `gradprobe status` lists those that have failed")


def run_cells(
    study: Study,
    folder: Path,
    reporter: Reporter,
    workers: int | None = None,
    engine: EngineOptions | None = None,
    *,
    only: set[str] | None = None,
    wait: bool = False,
) -> Summary:
    """Run a study for a command: an interruption ends it with a sentence and its exit code.

    Parameters
    ----------
    study, folder, workers, engine, only, wait
        As of `gradprobe.studies.run_study`.
    reporter
        Shows the run; has ended before anything else is printed.
    """
    try:
        with reporter as monitor:
            return studies.run_study(
                study, folder, workers=workers, monitor=monitor, engine=engine, only=only, wait=wait
            )
    except InterruptedStudyError as error:
        interruption = error
    raise failure(
        f"{interruption}; finished cells are stored, and the same command goes on with the others",
        interruption.exit_code,
    )


def retry_command(results: Path, study: str | None, cells: Iterable[Path] = ()) -> str:
    """Return what to type to compute failed cells again.

    Parameters
    ----------
    results
        The folder.
    study
        Its study; None if there is no other.
    cells
        Files of own cells that it needs.

    Examples
    --------
    >>> retry_command(Path("my results"), "digits", [Path("mycells.py")])
    "gradprobe retry 'my results' --study digits --cells mycells.py"
    """
    chosen = [] if study is None else ["--study", study]
    files = [part for file in cells for part in ("--cells", str(file))]
    return shlex.join(["gradprobe", "retry", str(results), *chosen, *files])


def closing_failure(
    summary: Summary, results: Path, study: str, cells: Iterable[Path] = ()
) -> typer.Exit:
    """Tell which cells have failed and how to compute each again; return what ends the command.

    Of a traceback, the last line is told; ``gradprobe status --json`` shows all of it.

    Parameters
    ----------
    summary
        Of a run with failures.
    results
        The folder, as it was typed.
    study
        The study's name.
    cells
        Files of own cells, as they were typed.
    """
    others = study_status(results, study).others
    command = retry_command(results, study if others else None, cells)
    for cell, reason in summary.failures:
        print(f"gradprobe: failed: {title(cell)}: {last_line(reason)}", file=sys.stderr)
        again = f"{command} {cell.hash[:CHARACTERS_OF_A_HASH]}"
        print(f"  to compute it again: {again}", file=sys.stderr)
    return failure(
        f"error: {len(summary.failures)} of {summary.total} cells failed; "
        f"`{command}` computes them again",
        MISSING_RESULTS,
    )


@reported
def export(
    results: Results,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="A .parquet or .csv file; it is replaced."
        ),
    ],
    study: StudyOption = None,
) -> None:
    """Write the table of all finished cells as one CSV or Parquet file.

    One row for each measured value; the columns are those of gradprobe.load, described in the
    reference under gradprobe.frame.
    """
    from gradprobe.own_model.tables import check_table_path, write_table  # noqa: PLC0415 - pandas

    check_table_path(output)
    table = studies.load(results, study)
    write_table(table, output)
    print(f"{output}: {len(table)} rows")


@reported
def recover(results: Results) -> None:
    """Save what can be read of a damaged folder of results; the damaged file is kept.

    The next gradprobe run computes what is missing then.
    """
    from gradprobe.studies.salvage import recover as save  # noqa: PLC0415 - imports pandas

    saved = save(results)
    print(f"{saved.finished} finished and {saved.failed} failed cells are saved")
    if saved.discarded:
        print(f"{saved.discarded} cells could be read, but not their tables, and are left out")
    print(f"the damaged file is now {saved.damaged}; gradprobe run goes on with what is missing")
