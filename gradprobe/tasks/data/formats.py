"""The file formats of MNIST and CIFAR-10, read by NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradprobe.errors import DataError
from gradprobe.tasks.data.catalogue import RECORD_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNSIGNED_BYTES = 0x08


def read_idx(data: bytes, name: str) -> NDArray[np.uint8]:
    """Return the array of an IDX file of unsigned bytes.

    Two zero bytes, the type's code, the number of axes, each axis's length as four bytes, big end
    first, then the entries in C order (LeCun, Cortes, Burges, "The MNIST database").

    Parameters
    ----------
    data
        The file's bytes.
    name
        What an error calls it.

    Raises
    ------
    DataError
        The header is not one of unsigned bytes, or the entries do not fit it.

    Examples
    --------
    >>> read_idx(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]), "two labels").tolist()
    [7, 9]
    """
    axes = data[3] if len(data) > 3 else 0
    start = 4 + 4 * axes
    if data[:3] != bytes([0, 0, UNSIGNED_BYTES]) or len(data) < start:
        raise DataError(
            f"{name} must begin as an IDX file of unsigned bytes, 00 00 08, got {data[:4].hex(' ')}"
        )
    shape = tuple(int(length) for length in np.frombuffer(data, ">u4", axes, offset=4))
    if len(data) - start != np.prod(shape, dtype=np.int64):
        raise DataError(
            f"{name} must hold the {' × '.join(map(str, shape))} bytes that its header states, "
            f"got {len(data) - start}"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def read_cifar(data: bytes, name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the images, shape (n, 32, 32, 3), and labels, shape (n,), of a CIFAR-10 binary file.

    Each record is the label, then the red, the green and the blue plane, row by row.  The channels
    of a pixel stand side by side in the result, not the neighbours of one channel.

    Parameters
    ----------
    data
        The file's bytes.
    name
        What an error calls it.

    Raises
    ------
    DataError
        The length is not a multiple of a record's, or a label is above 9.

    Examples
    --------
    >>> record = bytes([3]) + bytes([10]) * 1024 + bytes([20]) * 1024 + bytes([30]) * 1024
    >>> images, labels = read_cifar(record, "one record")
    >>> images[0, 0, 0].tolist(), labels.tolist()
    ([10, 20, 30], [3])
    """
    if not data or len(data) % RECORD_BYTES:
        raise DataError(
            f"{name} must hold whole records of {RECORD_BYTES} bytes, got {len(data)} bytes"
        )
    records = np.frombuffer(data, np.uint8).reshape(-1, RECORD_BYTES)
    labels, planes = records[:, 0], records[:, 1:].reshape(-1, 3, 32, 32)
    if labels.max() > 9:
        raise DataError(f"{name} must have labels from 0 to 9, got {labels.max()}")
    return planes.transpose(0, 2, 3, 1), labels
