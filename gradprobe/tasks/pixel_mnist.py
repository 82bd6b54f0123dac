"""MNIST read pixel by pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from gradprobe.errors import DataError
from gradprobe.tasks.data.catalogue import MNIST
from gradprobe.tasks.data.formats import read_idx
from gradprobe.tasks.image_files import ImageFilesTask

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Generator, Tensor

    from gradprobe.tasks.data.catalogue import DataSet
    from gradprobe.tasks.data.folders import Located

SIDE = 28
FILE_PREFIXES = {"train": "train", "test": "t10k"}


class PixelMnist(ImageFilesTask):
    """MNIST read pixel by pixel: T = 784 steps of 1 pixel, 10 classes.

    Pixels come row by row, each row from left to right.  Draws nothing.

    References
    ----------
    Le, Jaitly, Hinton, "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units"
    (2015), "MNIST classification from a sequence of pixels"; Chang et al., "AntisymmetricRNN" (ICLR
    2019), section 5.1.

    Examples
    --------
    >>> task = PixelMnist()
    >>> task.length, task.input_size, task.size("train"), task.size("test")
    (784, 1, 55000, 10000)
    """

    name: ClassVar[str] = "pixel_mnist"
    data_set: ClassVar[DataSet] = MNIST
    published_sizes: ClassVar[tuple[int, int]] = (60_000, 10_000)

    def __init__(self) -> None:
        self.length = SIDE * SIDE
        self.input_size = 1

    def _read(self, located: Located, part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        images, labels = (
            read_idx(located.read(name), name)
            for name in (
                f"{FILE_PREFIXES[part]}-images-idx3-ubyte",
                f"{FILE_PREFIXES[part]}-labels-idx1-ubyte",
            )
        )
        if images.shape[1:] != (SIDE, SIDE) or labels.shape != images.shape[:1]:
            raise DataError(
                f"{located.folder} must hold a label for each image of {SIDE} × {SIDE} pixels, got "
                f"images of shape {images.shape} and labels of shape {labels.shape}"
            )
        if labels.max() > 9:
            raise DataError(f"{located.folder} must have labels from 0 to 9, got {labels.max()}")
        return images.reshape(len(images), -1), labels

    def _sequences(
        self, split: str, indices: list[int], generator: Generator
    ) -> tuple[Tensor, Tensor]:
        images, labels = self._chosen(split, indices)
        return images.T.contiguous().unsqueeze(-1), labels
