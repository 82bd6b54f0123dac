"""Tasks of a few short sequences, which note what is asked of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from gradprobe import models
from gradprobe.tasks.base import Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Generator, Tensor

SIZES = {"train": 22, "validation": 7, "test": 9}


class SmallTask(Task):
    """Three classes of random sequences, with noise on top that is drawn for every batch anew."""

    name = "small"
    number_of_classes: ClassVar[int] = 3

    def __init__(self, noise: float = 0.1) -> None:
        self.input_size, self.length, self.noise = 2, 5, noise
        self.asked: list[tuple[str, list[int], Tensor, Tensor]] = []

    @property
    def provenance(self) -> str:
        return "Drawn for a test."

    def size(self, split: str) -> int:
        return SIZES[split]

    def examples(self, split: str) -> tuple[Tensor, Tensor]:
        source = torch.Generator().manual_seed(len(split))
        shape = (self.length, SIZES[split], self.input_size)
        inputs = torch.randn(shape, generator=source, dtype=torch.float64)
        return inputs, torch.randint(3, (SIZES[split],), generator=source)

    def _sequences(
        self, split: str, indices: list[int], generator: Generator
    ) -> tuple[Tensor, Tensor]:
        inputs, targets = self.examples(split)
        inputs = inputs[:, indices]
        noise = torch.randn(inputs.shape, generator=generator, dtype=torch.float64)
        batch = inputs + self.noise * noise, targets[..., indices]
        self.asked.append((split, indices, *batch))
        return batch

    def of(self, *splits: str) -> Sequence[tuple[str, list[int], Tensor, Tensor]]:
        return [batch for batch in self.asked if batch[0] in splits]


class SmallNumbers(SmallTask):
    """The target is a number: the sum of all inputs."""

    name = "small_numbers"
    target_kind = "number"

    def examples(self, split: str) -> tuple[Tensor, Tensor]:
        inputs, _ = super().examples(split)
        return inputs, inputs.sum((0, 2))


class SmallCopies(SmallTask):
    """The last two hidden states are read, each with a class of its own."""

    name = "small_copies"

    @property
    def readout_steps(self) -> int:
        return 2

    def examples(self, split: str) -> tuple[Tensor, Tensor]:
        inputs, targets = super().examples(split)
        return inputs, torch.stack([targets, (targets + 1) % 3])


def small_network(
    task: Task, dtype: torch.dtype = torch.float32, name: str = "vanilla"
) -> tuple[models.RecurrentModel, models.Readout]:
    source = torch.Generator().manual_seed(0)
    model = models.build(
        name, input_size=task.input_size, hidden_size=6, generator=source, dtype=dtype
    )
    initialiser = models.Initialiser(source, dtype=dtype)
    return model, models.Readout(model.output_size, task.output_size, initialiser)
