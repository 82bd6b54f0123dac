"""What tasks share whose examples are drawn, not read."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

from gradprobe import checks
from gradprobe.seeds import stream_seed
from gradprobe.tasks.base import SPLITS, Task

if TYPE_CHECKING:
    from torch import Generator, Tensor

SIZES = {"train": 100_000, "validation": 10_000, "test": 10_000}
"""As in the code of Arjovsky, Shah and Bengio (ICML 2016), which draws the training examples once;
here they are drawn anew each time."""
EXAMPLE_SEED = 20190103
"""Of the validation and test examples: each depends on this and its position alone."""


class SyntheticTask(Task):
    """Examples drawn anew for training, from the generator passed to `batch`, and fixed otherwise.

    Examples
    --------
    >>> from gradprobe.tasks.adding import Adding
    >>> Adding(length=50).size("test")
    10000
    """

    _drawn = f"training examples drawn anew each time, the others from seed {EXAMPLE_SEED}"

    @abc.abstractmethod
    def _draw(self, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """Return inputs (T, B, D) and targets of `count` examples."""

    def size(self, split: str) -> int:
        """Return how many examples `split` has.

        Parameters
        ----------
        split
            ``"train"``, ``"validation"`` or ``"test"``.
        """
        return SIZES[checks.one_of("split", split, SPLITS)]

    def _sequences(
        self, split: str, indices: list[int], generator: Generator
    ) -> tuple[Tensor, Tensor]:
        if split == "train":
            return self._draw(len(indices), generator)
        import torch  # noqa: PLC0415 - a task is described without torch, drawn with it

        examples = [
            self._draw(
                1, torch.Generator().manual_seed(stream_seed(EXAMPLE_SEED, f"{split}/{index}"))
            )
            for index in indices
        ]
        inputs, targets = zip(*examples, strict=True)
        return torch.cat(inputs, dim=1), torch.cat(targets, dim=-1)
