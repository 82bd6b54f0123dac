"""What every task states, and what the base gives in return."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, ClassVar, Literal

from gradprobe import checks
from gradprobe.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch import Generator, Tensor

TargetKind = Literal["class", "number"]

SPLITS = ("train", "validation", "test")
"""The parts that every task divides its examples into."""


class Task(abc.ABC):
    """Sequences with a target each, divided into train, validation and test examples.

    A task states `name`, `input_size` (D), `length` (T), `number_of_classes`, `provenance` (one
    sentence on where the data come from), `size` and `_sequences`; one whose targets are numbers,
    or that reads more than the last hidden state, says so.  The base validates what it is asked for
    and converts dtypes.  Building a task loads no data and does not import torch.

    Examples
    --------
    >>> import torch
    >>> from gradprobe import tasks
    >>> task = tasks.build("digits_rows")
    >>> generator = torch.Generator().manual_seed(0)
    >>> inputs, targets = task.batch("train", [0, 1, 2], generator)
    >>> inputs.shape, targets.shape
    (torch.Size([8, 3, 8]), torch.Size([3]))
    """

    name: ClassVar[str]
    target_kind: ClassVar[TargetKind] = "class"
    number_of_classes: ClassVar[int]
    input_size: int
    length: int

    @property
    def output_size(self) -> int:
        """How many numbers a readout gives for each hidden state: one for each class, or 1."""
        return self.number_of_classes if self.target_kind == "class" else 1

    @property
    def readout_steps(self) -> int:
        """k: how many of the last hidden states are read; targets are (B,) for 1, else (k, B)."""
        return 1

    @property
    def metric(self) -> str:
        """What counts: ``accuracy``, a fraction of 1, or ``mean_squared_error``."""
        return "accuracy" if self.target_kind == "class" else "mean_squared_error"

    @property
    def baseline_loss(self) -> float | None:
        """The loss of the best predictor without memory; None where none is known."""
        return None

    @property
    @abc.abstractmethod
    def provenance(self) -> str:
        """One sentence: the data set, its version, how many examples, how they are split."""

    @abc.abstractmethod
    def size(self, split: str) -> int:
        """Return how many examples `split` has.

        Parameters
        ----------
        split
            ``"train"``, ``"validation"`` or ``"test"``.
        """

    def check_data(self) -> None:  # noqa: B027 - nothing to check is the usual case
        """Raise an error that says how to get the data, if those that the task reads are missing.

        A task that draws its examples, or whose data come with a package, has nothing to check.
        """

    @abc.abstractmethod
    def _sequences(
        self, split: str, indices: list[int], generator: Generator
    ) -> tuple[Tensor, Tensor]:
        """Return inputs (T, B, D), of any floating-point dtype, and targets, of `indices`."""

    def batch(
        self,
        split: str,
        indices: Sequence[int],
        generator: Generator,
        dtype: torch.dtype | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the examples of `split` at `indices`.

        Parameters
        ----------
        split
            ``"train"``, ``"validation"`` or ``"test"``.
        indices
            B positions within the split, each in 0 … ``size(split) - 1``.
        generator
            Source of what a task draws anew for every example, such as noise; a task that draws
            nothing leaves it as it is.
        dtype
            Floating-point dtype of the inputs; float64 if not given.

        Returns
        -------
        inputs
            (T, B, D), time first.
        targets
            (B,), or (k, B) if k > 1 states are read: int64, each in 0 … ``number_of_classes - 1``,
            or float64 if `target_kind` is ``"number"``.

        Raises
        ------
        ArgumentError
            The split is unknown, or an index lies outside it.
        """
        last = self.size(split) - 1
        positions = [int(index) for index in indices]
        outside = [index for index in positions if not 0 <= index <= last]
        if not positions or outside:
            raise ArgumentError(
                f"indices into split {split!r} of task {self.name!r} must lie between 0 and {last}"
                f", got {outside[0] if outside else 'none'}"
            )
        import torch  # noqa: PLC0415 - a task is described without torch, drawn with it

        inputs, targets = self._sequences(split, positions, generator)
        return inputs.to(torch.float64 if dtype is None else dtype), targets

    def draw(self, count: int, generator: Generator, split: str = "train") -> tuple[Tensor, Tensor]:
        """Return `count` different examples of `split`, drawn at random, as `batch` does.

        Parameters
        ----------
        count
            B, at most ``size(split)``.
        generator
            Source of the choice first, then of what the task draws for each example.
        split
            ``"train"``, ``"validation"`` or ``"test"``.

        Examples
        --------
        >>> import torch
        >>> from gradprobe import tasks
        >>> task = tasks.build("digits_pixels")
        >>> inputs, targets = task.draw(4, torch.Generator().manual_seed(0))
        >>> inputs.shape
        torch.Size([64, 4, 1])
        """
        import torch  # noqa: PLC0415 - a task is described without torch, drawn with it

        available = self.size(split)
        if checks.positive_integer("count", count) > available:
            raise ArgumentError(
                f"count must be at most the {available} examples of split {split!r} "
                f"of task {self.name!r}, got {count}"
            )
        chosen = torch.randperm(available, generator=generator)[:count]
        return self.batch(split, chosen.tolist(), generator)
