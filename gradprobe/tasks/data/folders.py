"""Where the files of a data set lie, and whether they are what was published."""

from __future__ import annotations

import gzip
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gradprobe.errors import DataError

if TYPE_CHECKING:
    from gradprobe.tasks.data.catalogue import DataFile, DataSet

VARIABLE = "GRADPROBE_DATA"
"""The environment variable that names the folder of all data."""
PROVENANCE_NAME = "PROVENANCE"
"""A file with one line, which says where data come from that are not the published ones."""


def data_folder() -> Path:
    """Return the folder of all data: that of the environment variable, else a cache of the user's.

    Examples
    --------
    >>> data_folder().is_absolute()
    True
    """
    stated = os.environ.get(VARIABLE)
    if stated:
        return Path(stated).absolute()
    import pooch  # noqa: PLC0415 - only needed where the variable is not set

    return Path(pooch.os_cache("gradprobe")).absolute()


@dataclass(frozen=True)
class Located:
    """Files that were found and checked.

    Attributes
    ----------
    data_set
        Which one.
    folder
        Where its files lie.
    provenance
        The line of the file ``PROVENANCE`` if the files are not the published ones, else None.
    """

    data_set: DataSet
    folder: Path
    provenance: str | None

    @property
    def sentence(self) -> str:
        """What stands with every result: the data set, and whether its files are the published."""
        if self.provenance is None:
            return f"{self.data_set.title}, files with the published SHA-256 sums"
        return f"{self.data_set.title}, files that are not the published ones: {self.provenance}"

    def read(self, name: str) -> bytes:
        """Return the bytes of one file, unpacked.

        Parameters
        ----------
        name
            Of a file of the data set.
        """
        file = next(file for file in self.data_set.files if file.name == name)
        return _contents(self.data_set, self.folder, file)


def locate(data_set: DataSet, folder: Path | None = None) -> Located:
    """Return the files of a data set, or raise what is wrong with them; sizes are checked here.

    Parameters
    ----------
    data_set
        Of `DATA_SETS`.
    folder
        The folder of all data; `data_folder` if not given.

    Raises
    ------
    DataError
        A file is missing, or is not one of the data set and there is no file ``PROVENANCE``.
    """
    place = (data_folder() if folder is None else folder) / data_set.folder
    altered = [file.name for file in data_set.files if not _is_published(data_set, place, file)]
    if not altered:
        return Located(data_set, place, None)
    note = place / PROVENANCE_NAME
    if not note.is_file():
        raise DataError(
            f"{place}: {', '.join(altered)} {'is' if len(altered) == 1 else 'are'} not what was "
            f"published of {data_set.title} (another SHA-256 sum); {_remedy(data_set)}, or, if "
            f"these are the data that you mean, say in one line where they come from in {note}"
        )
    return Located(data_set, place, _provenance_line(note))


def _provenance_line(note: Path) -> str:
    line = " ".join(note.read_text(encoding="utf-8").split())
    if not line:
        raise DataError(f"{note} must say in one line where the data come from, but it is empty")
    return line


def _is_published(data_set: DataSet, folder: Path, file: DataFile) -> bool:
    return hashlib.sha256(_contents(data_set, folder, file)).hexdigest() == file.sha256


def _contents(data_set: DataSet, folder: Path, file: DataFile) -> bytes:
    """Return a file's bytes, of the right size."""
    plain, packed = folder / file.name, folder / f"{file.name}.gz"
    path = plain if plain.exists() else packed
    try:
        data = plain.read_bytes() if path is plain else gzip.decompress(packed.read_bytes())
    except FileNotFoundError as error:
        raise DataError(
            f"{plain} (or {packed.name}) is missing; {_remedy(data_set)}, or let {VARIABLE} name a "
            f"folder that holds {data_set.folder}/{file.name}"
        ) from error
    except (OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read: {error}; {_remedy(data_set)}") from error
    if len(data) != file.size:
        raise DataError(
            f"{path} must hold {file.size} bytes, got {len(data)}: it is truncated or altered; "
            f"{_remedy(data_set)}"
        )
    return data


def _remedy(data_set: DataSet) -> str:
    return f"get the files with: gradprobe data fetch {data_set.name}"
