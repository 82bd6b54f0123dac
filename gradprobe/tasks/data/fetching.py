"""Downloading a data set: whole files with the published SHA-256 sums, or an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe.errors import DataError
from gradprobe.tasks.data.folders import Located, data_folder, locate

if TYPE_CHECKING:
    from pathlib import Path

    from gradprobe.tasks.data.catalogue import DataSet, Download


def fetch(data_set: DataSet, folder: Path | None = None, *, progress: bool = False) -> Located:
    """Download what is missing of a data set, check it, and unpack it.

    A file that is there with the right SHA-256 sum is not downloaded again; one that is being
    downloaded takes its name only when it is whole.

    Parameters
    ----------
    data_set
        Of `DATA_SETS`.
    folder
        The folder of all data; `data_folder` if not given.
    progress
        Whether to show a bar on standard error.

    Raises
    ------
    DataError
        No address gives the file, or what came is not what was published.
    """
    root = data_folder() if folder is None else folder
    try:
        return locate(data_set, root)
    except DataError:
        for download in data_set.downloads:
            _download(data_set, download, root, progress=progress)
    return locate(data_set, root)


def _download(data_set: DataSet, download: Download, root: Path, *, progress: bool) -> None:
    import pooch  # noqa: PLC0415 - only needed to download

    archive = download.name.endswith(".tar.gz")
    members = [f"{data_set.folder}/{file.name}" for file in data_set.files]
    unpack = pooch.Untar(members=members, extract_dir=".") if archive else None
    failures = []
    for address in download.addresses:
        try:
            pooch.retrieve(
                url=address,
                known_hash=f"sha256:{download.sha256}",
                fname=download.name,
                path=root if archive else root / data_set.folder,
                processor=unpack,
                progressbar=progress,
            )
        except (OSError, ValueError) as error:
            failures.append(f"{address}: {error}")
        else:
            return
    raise DataError(
        f"{download.name} of {data_set.title} could not be downloaded ({'; '.join(failures)}); "
        f"try again later, or put its files into {root / data_set.folder}"
    )
