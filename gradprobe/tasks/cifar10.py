"""What the two CIFAR-10 tasks share."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from gradprobe.tasks.data.catalogue import CIFAR10
from gradprobe.tasks.data.formats import read_cifar
from gradprobe.tasks.image_files import ImageFilesTask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradprobe.tasks.data.catalogue import DataSet
    from gradprobe.tasks.data.folders import Located

SIDE = 32
CHANNELS = 3
FILES = {
    "train": [f"data_batch_{number}.bin" for number in range(1, 6)],
    "test": ["test_batch.bin"],
}


class Cifar10Task(ImageFilesTask):
    """CIFAR-10's images, the three channels of a pixel side by side.

    Examples
    --------
    >>> from gradprobe.tasks.pixel_cifar10 import PixelCifar10
    >>> issubclass(PixelCifar10, Cifar10Task)
    True
    """

    data_set: ClassVar[DataSet] = CIFAR10
    published_sizes: ClassVar[tuple[int, int]] = (50_000, 10_000)

    def _read(self, located: Located, part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        parts = [read_cifar(located.read(name), name) for name in FILES[part]]
        return np.concatenate([images for images, _ in parts]), np.concatenate(
            [labels for _, labels in parts]
        )
