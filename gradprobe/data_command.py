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

data = typer.Typer(no_args_is_help=True, help=HELP, rich_markup_mode=None)

Name = Annotated[
    str | None, typer.Argument(metavar="NAME", help=f"{', '.join(DATA_SETS)}; all if not given.")
]


@data.command()
@reported
def fetch(name: Name = None) -> None:
    """Download a data set, check its SHA-256 sums, and unpack it.

    What is there already and right is not downloaded again.
    """
    from gradprobe.tasks.data.fetching import fetch as download  # noqa: PLC0415 - imports pooch

    for data_set in _chosen(name):
        located = download(data_set, progress=True)
        print(f"{located.folder}: {located.sentence}")


@data.command()
@reported
def verify(name: Name = None) -> None:
    """Check that the files are there, and are the published ones.

    Reads every byte.
    """
    from gradprobe.tasks.data.folders import locate  # noqa: PLC0415 - reads only when called

    for data_set in _chosen(name):
        located = locate(data_set)
        print(f"{located.folder}: {located.sentence}")


@data.command("list")
@reported
def list_data_sets() -> None:
    """List the data sets, and the folder where they lie."""
    for data_set in DATA_SETS.values():
        print(f"{data_set.name}  {data_set.title}, {data_folder() / data_set.folder}")


def _chosen(name: str | None) -> list[DataSet]:
    if name is None:
        return list(DATA_SETS.values())
    return [DATA_SETS[check_name("data set", DATA_SETS, name)]]
