"""``gradprobe data``: getting the data sets that tasks read, and checking them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gradprobe.command import reported
from gradprobe.registry import check_name
from gradprobe.tasks.data.catalogue import DATA_SETS
from gradprobe.tasks.data.folders import VARIABLE, data_folder

if TYPE_CHECKING:
    from gradprobe.tasks.data.catalogue import DataSet

HELP = (
    f"Get and check the data sets that tasks read.  They lie in the folder that {VARIABLE} names, "
    "or else in a cache of yours."
)
EXIT_CODES = (
    "Exit codes: 0 all is well; 2 the call is wrong, or files are missing or not the published "
    "ones; 130 interrupted: the same command goes on."
)

data = typer.Typer(no_args_is_help=True, help=HELP, epilog=EXIT_CODES, rich_markup_mode=None)

Name = Annotated[
    str | None, typer.Argument(metavar="NAME", help=f"{', '.join(DATA_SETS)}; all if not given.")
]


@data.command(epilog=EXIT_CODES)
@reported
def fetch(name: Name = None) -> None:
    """Download a data set, check its SHA-256 sums, and unpack it.

    What is there already and right is not downloaded again; what is damaged is replaced.
    """
    from gradprobe.tasks.data.fetching import fetch as download  # noqa: PLC0415 - imports pooch

    for data_set in _chosen(name):
        located = download(data_set, progress=True)
        print(f"{located.folder}: {located.sentence}")


@data.command(epilog=EXIT_CODES)
@reported
def verify(name: Name = None) -> None:
    """Check that the files are there, and are the published ones.

    Reads every byte.  Other files pass only beside a file PROVENANCE, whose line then stands with
    every result.
    """
    from gradprobe.tasks.data.folders import locate  # noqa: PLC0415 - reads only when called

    for data_set in _chosen(name):
        located = locate(data_set)
        print(f"{located.folder}: {located.sentence}")


@data.command("list")
@reported
def list_data_sets() -> None:
    """List the data sets: where they lie, what to cite, and their licence."""
    for data_set in DATA_SETS.values():
        print(f"{data_set.name}  {data_set.title}, {data_folder() / data_set.folder}")
        print(f"    Cite: {data_set.citation}.  Licence: {data_set.licence}.")


def _chosen(name: str | None) -> list[DataSet]:
    if name is None:
        return list(DATA_SETS.values())
    return [DATA_SETS[check_name("data set", DATA_SETS, name)]]
