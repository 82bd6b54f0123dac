"""scikit-learn's handwritten digits, and their split: what the three digit tasks share."""

from __future__ import annotations

from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from gradprobe import checks
from gradprobe.tasks.base import SPLITS, Task

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

NUMBER_OF_IMAGES = 1797
SIDE = 8
GREATEST_PIXEL = 16.0
SPLIT_SEED = 20190101
SPLIT_SIZES = {"train": 1197, "validation": 300, "test": 300}


def split_indices(split: str) -> NDArray[np.int64]:
    """Return which of the 1,797 images belong to `split`, the same ones in every call.

    The images are permuted once by ``numpy.random.RandomState(SPLIT_SEED)``, whose stream NumPy has
    frozen, and cut into 1,197 for training, 300 for validation and 300 for testing.  The split does
    not depend on any seed of a training or a study.  All three parts share the data set's writers.

    Examples
    --------
    >>> [len(split_indices(split)) for split in ("train", "validation", "test")]
    [1197, 300, 300]
    """
    checks.one_of("split", split, SPLITS)
    order = np.random.RandomState(SPLIT_SEED).permutation(NUMBER_OF_IMAGES)
    cuts = np.cumsum([SPLIT_SIZES[part] for part in SPLITS])[:-1]
    return np.asarray(np.split(order, cuts)[SPLITS.index(split)], dtype=np.int64)


class DigitsTask(Task):
    """The digits' images and labels; a subclass says how an image becomes a sequence.

    The data set is the test part of UCI's "Optical Recognition of Handwritten Digits": 1,797 images
    of 8 × 8 pixels, each an integer in 0 … 16, by 13 writers.  It comes with scikit-learn, so that
    nothing is downloaded.  Pixels are divided by 16 here, so that they lie in [0, 1], in every task
    and every split alike.

    Examples
    --------
    >>> from gradprobe import tasks
    >>> tasks.build("digits_rows").size("test")
    300
    """

    number_of_classes: ClassVar[int] = 10

    @property
    def provenance(self) -> str:
        """One sentence: the data set, the version of scikit-learn, the images and their split."""
        parts = ", ".join(f"{size} {split}" for split, size in SPLIT_SIZES.items())
        return (
            f"Handwritten digits of scikit-learn {version('scikit-learn')} (UCI Optical Recognition"
            f" of Handwritten Digits, test part): {NUMBER_OF_IMAGES} images of {SIDE} × {SIDE} "
            f"pixels scaled to [0, 1]; {parts}, split by a fixed permutation (seed {SPLIT_SEED})."
        )

    def size(self, split: str) -> int:
        """Return how many images `split` has.

        Parameters
        ----------
        split
            ``"train"``, ``"validation"`` or ``"test"``.
        """
        return SPLIT_SIZES[checks.one_of("split", split, SPLITS)]

    @cached_property
    def _data(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        from sklearn.datasets import load_digits  # noqa: PLC0415 - a second, only when data is read

        digits = load_digits()
        return digits.images / GREATEST_PIXEL, digits.target.astype(np.int64)

    def _images(self, split: str, indices: list[int]) -> tuple[Tensor, Tensor]:
        """Return images (B, 8, 8) float64 in [0, 1] and labels (B,) int64."""
        import torch  # noqa: PLC0415 - a task is described without torch, drawn with it

        chosen = split_indices(split)[indices]
        images, labels = self._data
        return torch.from_numpy(images[chosen]), torch.from_numpy(labels[chosen])
