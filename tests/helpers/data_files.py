"""Small data sets in the formats of MNIST and CIFAR-10, written to a folder."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
from typing import TYPE_CHECKING

import numpy as np

from gradprobe.tasks.data.catalogue import DataFile, DataSet, Download

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def idx(array: NDArray[np.uint8]) -> bytes:
    """Return an IDX file of unsigned bytes."""
    header = bytes([0, 0, 8, array.ndim])
    return header + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def cifar(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> bytes:
    """Return a CIFAR-10 binary file of images (n, 32, 32, 3)."""
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    return np.column_stack((labels, planes)).astype(np.uint8).tobytes()


def images(count: int, *shape: int, seed: int) -> NDArray[np.uint8]:
    """Return random images."""
    return np.random.RandomState(seed).randint(0, 256, (count, *shape)).astype(np.uint8)


def labels(count: int, seed: int) -> NDArray[np.uint8]:
    """Return random labels."""
    return np.random.RandomState(seed).randint(0, 10, count).astype(np.uint8)


def written(
    root: Path, folder: str, contents: dict[str, bytes], *, packed: bool = False
) -> DataSet:
    """Write files, gzipped if wanted, and return the data set that they are."""
    place = root / folder
    place.mkdir(parents=True)
    for name, data in contents.items():
        path = place / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(data) if packed else data)
    files = tuple(
        DataFile(name, len(data), hashlib.sha256(data).hexdigest())
        for name, data in contents.items()
    )
    return DataSet(
        folder,
        f"Small {folder}",
        folder,
        files,
        downloads=(),
        citation="Small (1900)",
        licence="free",
    )


def published(data_set: DataSet, downloads: tuple[Download, ...]) -> DataSet:
    """Return `data_set` with places to download it from."""
    return dataclasses.replace(data_set, downloads=downloads)
