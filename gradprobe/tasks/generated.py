"""What tasks that only drive a model share: nothing to learn, any size, any width."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from gradprobe import checks
from gradprobe.tasks.base import SPLITS, Task

if TYPE_CHECKING:
    from torch import Generator, Tensor

SIZE = 1000
"""How many examples a split is said to have, so that any few can be drawn from it."""


class GeneratedInputs(Task):
    """Inputs that are made, not read: T steps of D features, every example of class 0.

    Parameters
    ----------
    length
        T.
    features
        D.

    Examples
    --------
    >>> from gradprobe import tasks
    >>> task = tasks.build("no_input", length=50, features=2)
    >>> task.length, task.input_size, task.size("train")
    (50, 2, 1000)
    """

    number_of_classes: ClassVar[int] = 1

    def __init__(self, length: int = 50, features: int = 1) -> None:
        self.length = checks.positive_integer("length", length)
        self.input_size = checks.positive_integer("features", features)

    def size(self, split: str) -> int:
        """Return how many examples `split` is said to have.

        Parameters
        ----------
        split
            ``"train"``, ``"validation"`` or ``"test"``.
        """
        checks.one_of("split", split, SPLITS)
        return SIZE

    def _inputs(self, count: int, generator: Generator) -> Tensor:
        """Return x_1 … x_T of `count` examples, shape (T, B, D), float64."""
        raise NotImplementedError

    def _sequences(
        self, split: str, indices: list[int], generator: Generator
    ) -> tuple[Tensor, Tensor]:
        import torch  # noqa: PLC0415 - a task is described without torch, drawn with it

        targets = torch.zeros(len(indices), dtype=torch.int64)
        return self._inputs(len(indices), generator), targets
