"""The command line: parses, calls, prints.  Imports what a command needs only when it runs."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import gradprobe
from gradprobe import listing, own_model, studies
from gradprobe.command import WRONG_CALL, failure, reported
from gradprobe.data_command import data
from gradprobe.gate_command import GATE_EXIT_CODES, baseline, check
from gradprobe.models.registry import MODELS
from gradprobe.probes.registry import PROBES
from gradprobe.report_command import REPORT_EXIT_CODES, report
from gradprobe.run_command import RUN_EXIT_CODES, run
from gradprobe.schema_command import schema
from gradprobe.store_commands import (
    RETRY_EXIT_CODES,
    STATUS_EXIT_CODES,
    export,
    recover,
    retry,
    status,
)
from gradprobe.tasks.registry import TASKS
from gradprobe.tune_command import TUNE_EXIT_CODES, tune

if TYPE_CHECKING:
    from collections.abc import Mapping


EXIT_CODES = (
    "Exit codes: 0 all is well; 1 gradprobe check found a metric that is worse than approved; 2 "
    "the call or a file is wrong; 3 results are missing or cannot be compared; 130 and 143 "
    "interrupted: the same command goes on."
)
BASELINE_EXIT_CODES = (
    "Exit codes: 0 the baseline is written; 2 the call or a file is wrong; 3 nothing was measured."
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


app.add_typer(data, name="data")


class Kind(enum.StrEnum):
    """What can be listed."""

    MODELS = "models"
    TASKS = "tasks"
    PROBES = "probes"
    STUDIES = "studies"


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


app.command(epilog=RUN_EXIT_CODES)(run)
app.command(short_help="Print the JSON Schema of a study file.")(schema)
app.command(
    epilog=REPORT_EXIT_CODES, short_help="Write the report of stored results, or of a change."
)(report)


@app.command("probe")
@reported
def probe_own_model(  # noqa: PLR0917 - typer passes options by name
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:FACTORY",
            help="A module or a .py file, and in it a function that makes the network, a class, "
            "or a cell (input, state) -> state.",
        ),
    ],
    input_size: Annotated[
        int | None, typer.Option(min=1, help="Features of random inputs, standard normal.")
    ] = None,
    hidden_size: Annotated[
        int | None, typer.Option(min=1, help="Call FACTORY with INPUT_SIZE and this.")
    ] = None,
    inputs: Annotated[
        Path | None,
        typer.Option(help="Inputs of your own instead: a .npy file of shape (T, B, ...)."),
    ] = None,
    length: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            help="Steps to measure at; repeat it for several.  1000, or all that --inputs has, if "
            "not given.",
        ),
    ] = None,
    sequences: Annotated[int, typer.Option(min=1, help="How many random input sequences.")] = 2,
    state_size: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            help="Size of the state, if the model does not tell; repeat it for a tuple of tensors.",
        ),
    ] = None,
    probe: Annotated[
        list[str] | None,
        typer.Option(
            help="What to measure, out of `gradprobe list probes`; repeat it for several.  "
            "singular_values and gradient_norm if not given."
        ),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Saved weights to load; no code in the file is run.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the initialisation and the inputs.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the whole table: a .parquet or .csv file."),
    ] = None,
) -> None:
    """Probe a model of your own, without a study file.

    For example: gradprobe probe mycells.py:MyCell --input-size 8 --hidden-size 64

    Prints the largest, median and smallest value of each quantity; norms and singular values as
    natural logarithms.
    """
    if output is not None:
        own_model.check_table_path(output)
    if (inputs is None) == (input_size is None):
        raise failure("error: give either --input-size or --inputs", WRONG_CALL)
    lengths = length or ([1000] if inputs is None else None)
    data = (
        own_model.read_inputs(inputs)
        if inputs is not None
        else own_model.draw_inputs(max(lengths or []), sequences, input_size or 0, seed)
    )
    sizes = () if hidden_size is None else (data.shape[-1], hidden_size)
    made = own_model.make(own_model.find(model), sizes, seed, weights)
    table, description = own_model.measure(
        made,
        data,
        probe or ["singular_values", "gradient_norm"],
        lengths,
        state_size or [],
        hidden_size,
    )
    print(f"{description}, seed {seed}\n\n{own_model.as_text(table)}")
    if output is not None:
        own_model.write_table(table.assign(seed=seed), output)
        print(f"\n{output}")


@app.command("list")
@reported
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


app.command(epilog=TUNE_EXIT_CODES, short_help="Rank a study's models before any training.")(tune)
app.command(
    epilog=STATUS_EXIT_CODES, short_help="Tell how far a study is, and what has failed and why."
)(status)
app.command(epilog=RETRY_EXIT_CODES)(retry)
app.command(short_help="Write the table of all finished cells to one file.")(export)
app.command(short_help="Save what can be read of damaged results.")(recover)
app.command(epilog=BASELINE_EXIT_CODES, short_help="Approve results: write a baseline.")(baseline)
app.command(epilog=GATE_EXIT_CODES, short_help="Hold results to a baseline; fail if worse.")(check)


def main() -> None:
    """Run the command line; the entry point of ``gradprobe``."""
    app(prog_name="gradprobe")
