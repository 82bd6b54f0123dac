"""The command line: parses, calls, prints.  Imports what a command needs only when it runs."""

from __future__ import annotations

import enum
import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, ParamSpec, TypeVar

import typer

import gradprobe
from gradprobe import listing, reports, studies
from gradprobe.errors import GradprobeError
from gradprobe.models.registry import MODELS
from gradprobe.probes.registry import PROBES
from gradprobe.studies.interruption import InterruptedStudyError
from gradprobe.tasks.registry import TASKS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

P = ParamSpec("P")
R = TypeVar("R")

WRONG_CALL = 2
MISSING_RESULTS = 3
INTERRUPTED = 130
REPORT_NAME = "report.html"

EXIT_CODES = (
    "Exit codes: 0 all is well; 2 the call or a file is wrong; 3 some cells failed, so that results"
    " are missing; 130 and 143 interrupted: the same command goes on."
)

app = typer.Typer(
    name="gradprobe",
    help="Measure how gradients travel through time in recurrent networks.",
    epilog=EXIT_CODES,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Kind(enum.StrEnum):
    """What can be listed."""

    MODELS = "models"
    TASKS = "tasks"
    PROBES = "probes"
    STUDIES = "studies"


def _fail(message: str, code: int) -> NoReturn:
    print(f"gradprobe: {message}", file=sys.stderr)
    raise typer.Exit(code)


def _reported(command: Callable[P, R]) -> Callable[P, R]:
    """Turn what gradprobe refuses into one message and an exit code; a bug keeps its traceback."""

    @functools.wraps(command)
    def run(*arguments: P.args, **options: P.kwargs) -> R:
        try:
            return command(*arguments, **options)
        except GradprobeError as error:
            _fail(f"error: {error}", WRONG_CALL)
        except KeyboardInterrupt:
            _fail("interrupted", INTERRUPTED)

    return run


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"gradprobe {gradprobe.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Measure how gradients travel through time in recurrent networks."""


@app.command(epilog=EXIT_CODES)
@_reported
def run(
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
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Processes that compute at the same time; one per core if not given."
        ),
    ] = None,
) -> None:
    """Run a study, or go on with it, and write its report.

    A study measures several models at several seeds.  Each of these cells is stored as soon as it
    is finished, so a run can be interrupted at any time; the same command goes on with the cells
    that are missing.  Standard output ends with the path of the report, one HTML file.
    """
    checked = studies.load_study(study)
    folder = Path("results") / checked.name if results is None else results
    summary = _run_cells(checked, folder, workers)
    for cell, reason in summary.failures:
        print(f"gradprobe: failed: {cell.label}, seed {cell.seed}: {reason}", file=sys.stderr)
    if summary.finished:
        _write_report(folder, folder / REPORT_NAME)
    if summary.failures:
        _fail(
            f"error: {len(summary.failures)} of {summary.total} cells failed; "
            "the same command tries them again",
            MISSING_RESULTS,
        )


def _run_cells(study: studies.Study, folder: Path, workers: int | None) -> studies.Summary:
    with studies.reporter(sys.stderr) as monitor:
        try:
            return studies.run_study(study, folder, workers=workers, monitor=monitor)
        except InterruptedStudyError as error:
            interruption = error
    _fail(
        f"{interruption}; finished cells are stored, and the same command goes on with the others",
        interruption.exit_code,
    )


@app.command()
@_reported
def report(
    results: Annotated[
        Path, typer.Argument(metavar="RESULTS", help="A folder of results of gradprobe run.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The HTML file; RESULTS/report.html if not given."),
    ] = None,
) -> None:
    """Write the report of stored results.

    The report is one HTML file that needs no network.  The results may be incomplete; a run may be
    adding to them meanwhile.
    """
    _write_report(results, results / REPORT_NAME if output is None else output)


def _write_report(folder: Path, output: Path) -> None:
    reports.write_report(folder, output)
    print(output)


@app.command("list")
@_reported
def list_names(
    kind: Annotated[
        Kind, typer.Argument(metavar="models|tasks|probes|studies", help="What to list.")
    ],
) -> None:
    """List what there is to choose from, with a line each.

    Models, tasks and probes are what a study file can name; studies are the files that come along.
    """
    registries: dict[Kind, Mapping[str, str]] = {
        Kind.MODELS: MODELS,
        Kind.TASKS: TASKS,
        Kind.PROBES: PROBES,
    }
    lines = (
        {_here(path): studies.load_study(path).question for path in listing.shipped_study_files()}
        if kind is Kind.STUDIES
        else listing.summaries(registries[kind])
    )
    width = max(len(name) for name in lines)
    for name, summary in lines.items():
        print(f"{name:<{width}}  {summary}")


def _here(path: Path) -> str:
    """Return `path` as one would type it in the current folder."""
    current = Path.cwd()
    return str(path.relative_to(current) if path.is_relative_to(current) else path)


def main() -> None:
    """Run the command line; the entry point of ``gradprobe``."""
    app(prog_name="gradprobe")
