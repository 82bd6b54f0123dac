"""What the tasks on image files share: loading once, and the split into train and validation."""

from __future__ import annotations

import abc
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from gradprobe import checks
from gradprobe.tasks.base import SPLITS, Task
from gradprobe.tasks.data.folders import locate

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from gradprobe.tasks.data.catalogue import DataSet
    from gradprobe.tasks.data.folders import Located

VALIDATION_SIZE = 5000
SPLIT_SEED = 20190101
GREATEST_PIXEL = 255.0


class ImageFilesTask(Task):
    """Images of ten classes from files, read when the first batch is asked for.

    The published test images are the test split.  The published training images are permuted once
    by ``numpy.random.RandomState(SPLIT_SEED)``, whose stream NumPy has frozen; the last 5,000 are
    the validation split.  The split does not depend on any seed of a training or a study.  Pixels
    are divided by 255 in float32, so that they lie in [0, 1], in every task and every split alike;
    a batch holds the same numbers whatever its dtype.

    A subclass names its data set and its sizes, and reads it as arrays whose first axis counts the
    images, laid out so that a sequence is ``image.reshape(steps, features)``.

    Examples
    --------
    >>> from gradprobe.tasks.pixel_mnist import PixelMnist
    >>> issubclass(PixelMnist, ImageFilesTask)
    True
    """

    number_of_classes: ClassVar[int] = 10
    data_set: ClassVar[DataSet]
    published_sizes: ClassVar[tuple[int, int]]

    @abc.abstractmethod
    def _read(self, located: Located, part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return the images and labels of ``"train"`` or ``"test"`` as they are published."""

    def size(self, split: str) -> int:
        """Return how many images `split` has.

        Parameters
        ----------
        split
            ``"train"``, ``"validation"`` or ``"test"``.
        """
        train, test = self.published_sizes
        sizes = {"train": train - VALIDATION_SIZE, "validation": VALIDATION_SIZE, "test": test}
        return sizes[checks.one_of("split", split, SPLITS)]

    def check_data(self) -> None:
        """Raise `DataError`, which says how to get them, if files are missing or altered."""
        _ = self._located

    @property
    def provenance(self) -> str:
        """One sentence: the data set, whether the files are the published ones, and the split."""
        parts = ", ".join(f"{self.size(split)} {split}" for split in SPLITS)
        return (
            f"{self._located.sentence}; {parts}, validation split off by a fixed permutation (seed "
            f"{SPLIT_SEED}); pixels in [0, 1]."
        )

    @cached_property
    def _located(self) -> Located:
        return locate(self.data_set)

    @cached_property
    def _train_images(self) -> tuple[Tensor, Tensor]:
        return _tensors(self._read(self._located, "train"))

    @cached_property
    def _test_images(self) -> tuple[Tensor, Tensor]:
        return _tensors(self._read(self._located, "test"))

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        """Positions of the training images: first those of train, then those of validation."""
        return np.random.RandomState(SPLIT_SEED).permutation(self.published_sizes[0])

    def _chosen(self, split: str, indices: list[int]) -> tuple[Tensor, Tensor]:
        """Return images (B, …) float32 in [0, 1] and labels (B,) int64."""
        images, labels = self._test_images if split == "test" else self._train_images
        positions = np.asarray(indices)
        if split != "test":
            positions = self._order[
                positions + (self.size("train") if split == "validation" else 0)
            ]
        return images[positions].float().div_(GREATEST_PIXEL), labels[positions]


def _tensors(arrays: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> tuple[Tensor, Tensor]:
    import torch  # noqa: PLC0415 - a task is described without torch, drawn with it

    images, labels = arrays
    return torch.from_numpy(np.array(images)), torch.from_numpy(labels.astype(np.int64))
