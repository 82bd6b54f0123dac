"""Downloading a data set: whole files with the published SHA-256 sums, or an error."""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from gradprobe.errors import DataError
from gradprobe.tasks.data.folders import (
    PROVENANCE_NAME,
    VARIABLE,
    Located,
    data_folder,
    is_published,
    locate,
)

if TYPE_CHECKING:
    from _typeshed import SupportsRead

    from gradprobe.tasks.data.catalogue import DataFile, DataSet, Download

ARCHIVE = ".tar.gz"
DOWNLOADS = "downloads"
"""Where downloads lie until they are unpacked, beside the files."""


def fetch(data_set: DataSet, folder: Path | None = None, *, progress: bool = False) -> Located:
    """Download what is missing or damaged of a data set, check it, and unpack it.

    A file that is there with the right SHA-256 sum is not downloaded again.  A download, and then
    what is unpacked from it, takes its name only when it is whole, so a fetch may be interrupted at
    any time; the next one goes on with the files that are missing.

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
        No address gives the file, or what came is not what was published, or it cannot be written,
        or other data lie there, as a file ``PROVENANCE`` tells: they are not written over.
    """
    root = data_folder() if folder is None else folder
    place = root / data_set.folder
    try:
        return locate(data_set, root)
    except DataError as error:
        if (place / PROVENANCE_NAME).exists():
            raise DataError(
                f"{place} holds data of your own, as its {PROVENANCE_NAME} tells, which are not "
                f"written over; let {VARIABLE} name another folder, or move them.  {error}"
            ) from error
    for download in data_set.downloads:
        wanted = [file for file in _given_by(download, data_set) if not is_published(place, file)]
        if wanted:
            _get(data_set, download, wanted, place, progress=progress)
    if (place / DOWNLOADS).exists():
        shutil.rmtree(place / DOWNLOADS)
    return locate(data_set, root)


def _given_by(download: Download, data_set: DataSet) -> list[DataFile]:
    if download.name.endswith(ARCHIVE):
        return list(data_set.files)
    return [file for file in data_set.files if f"{file.name}.gz" == download.name]


def _get(
    data_set: DataSet, download: Download, wanted: list[DataFile], place: Path, *, progress: bool
) -> None:
    try:
        packed = _downloaded(data_set, download, place / DOWNLOADS, progress=progress)
        if download.name.endswith(ARCHIVE):
            _unpack_archive(packed, data_set, wanted, place)
        else:
            with gzip.open(packed) as source:
                _write(source, place / wanted[0].name)
        packed.unlink()
    except OSError as error:
        raise DataError(f"{data_set.title} cannot be written to {place}: {error}") from error


def _downloaded(data_set: DataSet, download: Download, place: Path, *, progress: bool) -> Path:
    """Return the file of the first address that gives what was published."""
    import pooch  # noqa: PLC0415 - only needed to download

    place.mkdir(parents=True, exist_ok=True)
    failures = []
    for address in download.addresses:
        try:
            path: str = pooch.retrieve(
                url=address,
                known_hash=f"sha256:{download.sha256}",
                fname=download.name,
                path=place,
                progressbar=progress,
            )
        except (OSError, ValueError) as error:
            failures.append(f"{address}: {error}")
        else:
            return Path(path)
    raise DataError(
        f"{download.name} of {data_set.title} could not be downloaded ({'; '.join(failures)}); "
        f"try again later, or put its files into {place.parent}"
    )


def _unpack_archive(packed: Path, data_set: DataSet, wanted: list[DataFile], place: Path) -> None:
    """Write the wanted files, in one pass and to names of ours: no path in the archive counts."""
    missing = {f"{data_set.folder}/{file.name}": file.name for file in wanted}
    with tarfile.open(packed, "r|gz") as archive:
        for member in archive:
            if member.isfile() and member.name in missing:
                source = archive.extractfile(member)
                if source is not None:
                    _write(source, place / missing.pop(member.name))
    if missing:
        raise DataError(f"{packed} of {data_set.title} has no file {', '.join(missing)}")


def _write(source: SupportsRead[bytes], target: Path) -> None:
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            shutil.copyfileobj(source, file)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
