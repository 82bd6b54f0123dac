"""Where the files of a data set lie, and whether they are what was published."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
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
UNREADABLE = (OSError, EOFError, zlib.error)
"""What reading raises of a file that is missing, not permitted, or a damaged gzip file."""


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
    """Return the files of a data set, or raise what is wrong with them; every byte is read.

    Parameters
    ----------
    data_set
        Of `DATA_SETS`.
    folder
        The folder of all data; `data_folder` if not given.

    Raises
    ------
    DataError
        A file is missing, cannot be read, or has another size than the published one; or it is not
        the published one and no file ``PROVENANCE`` says what it is instead.
    """
    place = (data_folder() if folder is None else folder) / data_set.folder
    altered = [
        file.name
        for file in data_set.files
        if not _has_published_sum(file, _contents(data_set, place, file))
    ]
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
    try:
        line = " ".join(note.read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{note} cannot be read: {error}") from error
    if not line:
        raise DataError(f"{note} must say in one line where the data come from, but it is empty")
    return line


def is_published(folder: Path, file: DataFile) -> bool:
    """Whether a file is there, whole, and the published one.

    Parameters
    ----------
    folder
        Where it should lie.
    file
        Which one.

    Examples
    --------
    >>> from gradprobe.tasks.data.catalogue import MNIST
    >>> is_published(Path("nowhere"), MNIST.files[0])
    False
    """
    try:
        return _has_published_sum(file, _unpacked(_path(folder, file)))
    except UNREADABLE:
        return False


def _has_published_sum(file: DataFile, data: bytes) -> bool:
    return hashlib.sha256(data).hexdigest() == file.sha256


def _path(folder: Path, file: DataFile) -> Path:
    """Return where a file lies: plain, if it is there, else gzipped."""
    plain = folder / file.name
    return plain if plain.exists() else folder / f"{file.name}.gz"


def _unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def _contents(data_set: DataSet, folder: Path, file: DataFile) -> bytes:
    """Return a file's bytes, of the right size."""
    path = _path(folder, file)
    try:
        data = _unpacked(path)
    except FileNotFoundError as error:
        raise DataError(
            f"{folder / file.name} (or {path.name}) is missing; {_remedy(data_set)}, or let "
            f"{VARIABLE} name a folder that holds {data_set.folder}/{file.name}"
        ) from error
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read: {error}; {_remedy(data_set)}") from error
    if len(data) != file.size:
        raise DataError(
            f"{path} must hold {file.size} bytes, got {len(data)}: it is truncated or altered; "
            f"{_remedy(data_set)}"
        )
    return data


def _remedy(data_set: DataSet) -> str:
    return f"get the files with: gradprobe data fetch {data_set.name}"
