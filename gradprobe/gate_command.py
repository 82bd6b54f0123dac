"""``gradprobe baseline`` and ``gradprobe check``: approving results, and holding others to them."""

from __future__ import annotations

import functools
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ParamSpec

import typer

from gradprobe import gate
from gradprobe.command import MISSING_RESULTS, failure, reported
from gradprobe.errors import BaselineError, NotComparableError
from gradprobe.gate.findings import FailOn

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradprobe.gate import Baseline, Comparison, Measured

P = ParamSpec("P")

SUMMARY = "GITHUB_STEP_SUMMARY"
"""Environment variable: the file whose Markdown GitHub shows on the page of a job."""

GATE_EXIT_CODES = (
    "Exit codes: 0 all is well; 1 worse than approved; 2 the call or a file is wrong; "
    "3 not comparable, or nothing measured."
)

Results = Annotated[
    Path, typer.Argument(metavar="RESULTS", help="A folder of results of gradprobe run.")
]


def judged(command: Callable[P, None]) -> Callable[P, None]:
    """End a command with exit code 3 where a comparison cannot be made.

    Parameters
    ----------
    command
        A command's function.
    """

    @reported
    @functools.wraps(command)
    def run(*arguments: P.args, **options: P.kwargs) -> None:
        try:
            command(*arguments, **options)
        except NotComparableError as error:
            raise failure(f"not comparable: {error}", MISSING_RESULTS) from error

    return run


@judged
def baseline(
    results: Results,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The baseline, a JSON file.")
    ],
) -> None:
    """Approve results: write the baseline that gradprobe check holds later results to.

    It is small, sorted, and has a line for each metric, so that a review shows what changed.
    Commit it.
    """
    approved = gate.Baseline.of(gate.read_measured(results))
    gate.write_baseline(approved, output)
    print(f"{output}: {len(approved.metrics)} metrics at {len(approved.seeds)} seeds")


@judged
def check(
    results: Results,
    baseline: Annotated[
        Path, typer.Option(metavar="FILE", help="What was approved: of gradprobe baseline.")
    ],
    fail_on: Annotated[
        FailOn,
        typer.Option(
            help="Fail if a metric is worse, or if one is other than approved in any way."
        ),
    ] = FailOn.REGRESSION,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write JUnit XML, for GitLab or Jenkins.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write Markdown, for a summary.")
    ] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all findings as JSON.")
    ] = None,
) -> None:
    """Hold results to a baseline, and fail if a metric is worse than approved.

    At the approved seeds values are compared one by one, and any difference shows.  At 10 or more
    other seeds a metric must be worse by more than the noise between seeds.
    """
    approved, measured = gate.read_baseline(baseline), gate.read_measured(results)
    comparison = gate.compare(approved, measured)
    _write(comparison, fail_on, (approved, measured), (junit, json))
    _write_markdown(comparison, fail_on, results, markdown)
    _print(comparison, fail_on, results)
    code = comparison.exit_code(fail_on)
    if code:
        raise typer.Exit(code)


def _write(
    comparison: Comparison,
    fail_on: FailOn,
    compared: tuple[Baseline, Measured],
    files: tuple[Path | None, Path | None],
) -> None:
    from gradprobe.gate.baseline import write_text  # noqa: PLC0415 - only when it is used
    from gradprobe.gate.outputs import history, junit  # noqa: PLC0415

    if files[0] is not None:
        write_text(files[0], junit.junit(comparison, fail_on))
    if files[1] is not None:
        write_text(files[1], history.history(comparison, fail_on, *compared))


def _write_markdown(
    comparison: Comparison, fail_on: FailOn, results: Path, file: Path | None
) -> None:
    from gradprobe.gate.baseline import write_text  # noqa: PLC0415 - only when it is used
    from gradprobe.gate.outputs import markdown  # noqa: PLC0415

    text = markdown.markdown(comparison, fail_on, _to_look(results))
    if file is not None:
        write_text(file, text)
    summary = os.environ.get(SUMMARY)
    if summary:
        try:
            with Path(summary).open("a", encoding="utf-8") as stream:
                stream.write(text)
        except OSError as error:
            raise BaselineError(
                f"{summary} ({SUMMARY}): cannot be written: {error.strerror}"
            ) from error


def _print(comparison: Comparison, fail_on: FailOn, results: Path) -> None:
    from gradprobe.gate.outputs.terminal import print_comparison  # noqa: PLC0415 - loads rich

    print_comparison(comparison, fail_on, sys.stdout)
    if comparison.exit_code(fail_on):
        print(f"To look at the results: {_to_look(results)}")


def _to_look(results: Path) -> str:
    return f"gradprobe report {shlex.quote(str(results))}"
