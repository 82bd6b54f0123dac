"""``gradprobe tune``: which initialisation to start from, before any training."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradprobe import reports, studies
from gradprobe.command import MISSING_RESULTS, failure, reported
from gradprobe.errors import StudyFileError
from gradprobe.store_commands import CellsOption, run_cells
from gradprobe.studies.own_cells import with_cell_files
from gradprobe.studies.progress import title

if TYPE_CHECKING:
    import pandas as pd

REPORT_NAME = "report.html"

TUNE_EXIT_CODES = (
    "Exit codes: 0 all is well; 2 the call or a file is wrong; 3 some candidates could not be "
    "measured; 130 and 143 interrupted: the same command goes on."
)


@reported
def tune(
    study: Annotated[
        Path,
        typer.Argument(
            metavar="STUDY",
            help="A study file without trainings, such as studies/tuning_adding.toml.",
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
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the ranking, with every column: a .csv file."),
    ] = None,
    cells: CellsOption = None,
) -> None:
    """Rank the models of a study, before any training, by how well their states tell the targets.

    The candidates are the study's models, such as one model at several initialisations, which a
    table `sweep` makes.  Those whose end-to-end Jacobian has |log σ_max| ≤ 10, where σ_max is its
    largest singular value, come first, in the order of their score: the share of the targets'
    variance that a linear readout of the untrained last states explains, each sequence being left
    out in turn.  Cells are stored as by `gradprobe run`, and the report shows the ranking.
    """
    checked = with_cell_files(studies.load_study(study), cells or ())
    _check(checked)
    folder = Path("results") / checked.name if results is None else results
    summary = run_cells(checked, folder, studies.reporter(sys.stderr), workers)
    for cell, reason in summary.failures:
        print(f"gradprobe: not measured: {title(cell)}: {reason}", file=sys.stderr)
    if summary.finished:
        _tell(folder, output)
    if summary.failures:
        raise failure(
            f"error: {len(summary.failures)} of {summary.total} cells could not be measured",
            MISSING_RESULTS,
        )


def _check(study: studies.Study) -> None:
    """Refuse a study that trains, or that does not measure what the ranking needs."""
    if study.training is not None:
        raise StudyFileError(
            f"{study.file_name}: training: expected no trainings, since candidates are ranked "
            "before any; take the table [training] out, or copy the file without it"
        )
    from gradprobe.tuning.component_table import NEEDED  # noqa: PLC0415 - imports pandas

    missing = [name for name in NEEDED if name not in study.probes]
    if missing:
        lines = "".join(f"\n  [probes.{name}]" for name in missing)
        raise StudyFileError(
            f"{study.file_name}: probes: a ranking needs {', '.join(NEEDED)}; add:{lines}"
        )


def _tell(folder: Path, output: Path | None) -> None:
    from gradprobe import tuning  # noqa: PLC0415 - needs pandas, which takes a while to import

    ranked = tuning.rank(studies.load(folder))
    print(tuning.as_text(ranked), end="\n\n")
    if output is not None:
        _write(ranked, output)
        print(output)
    reports.write_report(folder, folder / REPORT_NAME)
    print(folder / REPORT_NAME)


def _write(ranked: pd.DataFrame, output: Path) -> None:
    try:
        ranked.to_csv(output, index=False)
    except OSError as error:
        raise StudyFileError(
            f"{output}: the ranking cannot be written: {error.strerror}"
        ) from error
