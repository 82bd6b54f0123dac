"""The adding problem."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from gradprobe import checks
from gradprobe.errors import ArgumentError
from gradprobe.tasks.synthetic import SyntheticTask

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from gradprobe.tasks.base import TargetKind


class Adding(SyntheticTask):
    """The sum of two marked numbers: T steps of 2 features, one number as the answer.

    The first feature is uniform on [0, 1); the second is 1 at two steps, one drawn uniformly from
    the first half, steps 1 … ⌊T/2⌋, one from the rest, and 0 elsewhere.  The target is the sum of
    the two marked numbers.  A predictor without memory can do no better than 1, whose mean squared
    error is 1/6, the variance of the sum.

    Parameters
    ----------
    length
        T, at least 2.

    Raises
    ------
    ArgumentError
        `length` is not an integer, or below 2.

    References
    ----------
    Hochreiter, Schmidhuber, "Long Short-Term Memory" (1997); in this form Arjovsky, Shah, Bengio,
    "Unitary Evolution Recurrent Neural Networks" (ICML 2016), and their code.

    Examples
    --------
    >>> task = Adding(length=100)
    >>> task.length, task.input_size, task.output_size, task.metric
    (100, 2, 1, 'mean_squared_error')
    """

    name: ClassVar[str] = "adding"
    target_kind: ClassVar[TargetKind] = "number"
    number_of_classes: ClassVar[int] = 0

    def __init__(self, length: int = 1000) -> None:
        self.length = checks.positive_integer("length", length)
        if length < 2:
            raise ArgumentError(
                f"length must be at least 2, one step for each number, got {length}"
            )
        self.input_size = 2

    @property
    def baseline_loss(self) -> float:
        """1/6, the variance of the sum of two uniform numbers."""
        return 1 / 6

    @property
    def provenance(self) -> str:
        """What is drawn, and from what."""
        return f"Adding problem over {self.length} steps; {self._drawn}."

    def _draw(self, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
        import torch  # noqa: PLC0415 - a task is described without torch, drawn with it

        numbers = torch.rand(self.length, count, generator=generator, dtype=torch.float64)
        half = self.length // 2
        marked = torch.stack(
            (
                torch.randint(half, (count,), generator=generator),
                torch.randint(half, self.length, (count,), generator=generator),
            )
        )
        marks = torch.zeros_like(numbers).scatter_(0, marked, 1.0)
        return torch.stack((numbers, marks), dim=-1), numbers.gather(0, marked).sum(0)
