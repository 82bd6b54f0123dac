"""From a batch of a task to its loss, and to how right the answers are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn import functional

from gradprobe.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from gradprobe.models import OpaqueModel, RecurrentModel
    from gradprobe.tasks.base import Task


def answers(
    model: RecurrentModel | OpaqueModel, readout: nn.Module, task: Task, inputs: Tensor
) -> Tensor:
    """Return what the readout makes of the hidden states that the task reads.

    Parameters
    ----------
    model, readout
        h_t, and what reads it.
    task
        Says how many of the last hidden states are read.
    inputs
        Shape (T, B, D).

    Returns
    -------
    Tensor
        Shape (B, outputs) if the task reads the last state only, else (k, B, outputs).

    Raises
    ------
    ArgumentError
        The readout gives another number of outputs than the task asks for.

    Examples
    --------
    >>> from gradprobe import models, tasks
    >>> task = tasks.build("digits_rows")
    >>> model = models.build("gru", input_size=8, hidden_size=4)
    >>> answers(model, torch.nn.Linear(4, 10), task, torch.zeros(8, 3, 8)).shape
    torch.Size([3, 10])
    """
    hidden, final = model(inputs)
    if task.readout_steps == 1:
        outputs: Tensor = readout(final[:, model.hidden_slice])
    else:
        outputs = readout(hidden[-task.readout_steps :])
    if outputs.shape[-1] != task.output_size:
        raise ArgumentError(
            f"readout must give the {task.output_size} outputs of task {task.name!r}, "
            f"got {outputs.shape[-1]}"
        )
    return outputs


def mean_loss(task: Task, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy in nats, or the mean squared error if targets are numbers.

    Parameters
    ----------
    task
        Says what the targets are.
    outputs
        Shape (…, classes), or (…, 1) for numbers.
    targets
        Shape (…).

    Examples
    --------
    >>> from gradprobe import tasks
    >>> outputs, targets = torch.zeros(3, 10), torch.tensor([0, 1, 2])
    >>> round(float(mean_loss(tasks.build("digits_rows"), outputs, targets)), 4)  # ln 10
    2.3026
    """
    if task.target_kind == "number":
        return functional.mse_loss(outputs.squeeze(-1), targets.to(outputs.dtype))
    return functional.cross_entropy(outputs.flatten(0, -2), targets.flatten())


class Evaluation(NamedTuple):
    """What a whole split gives.

    Attributes
    ----------
    loss
        Mean over all examples: cross-entropy in nats, or the mean squared error.
    score
        The task's metric: the fraction of right answers, or the mean squared error.
    """

    loss: float
    score: float


@torch.no_grad()
def evaluate(
    model: RecurrentModel | OpaqueModel,
    readout: nn.Module,
    task: Task,
    split: str,
    *,
    batch_size: int,
    generator: torch.Generator,
    check: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Return the mean loss and score over all examples of `split`.

    Parameters
    ----------
    model, readout, task
        As for `answers`.
    split
        ``"validation"`` or ``"test"``.
    batch_size
        Examples at a time.
    generator
        For what the task draws; the same state gives the same evaluation.
    check
        Called before every batch; may raise.

    Examples
    --------
    >>> from gradprobe import models, tasks
    >>> task = tasks.build("digits_rows")
    >>> model = models.build("gru", input_size=8, hidden_size=4)
    >>> readout = torch.nn.Linear(4, 10).requires_grad_(False)
    >>> _ = readout.weight.zero_(), readout.bias.zero_()
    >>> source = torch.Generator().manual_seed(0)
    >>> found = evaluate(model, readout, task, "test", batch_size=100, generator=source)
    >>> round(found.loss, 4)  # ln 10
    2.3026
    """
    loss, right, answered, examples = 0.0, 0, 0, task.size(split)
    for start in range(0, examples, batch_size):
        check()
        chosen = range(start, min(start + batch_size, examples))
        inputs, targets = task.batch(split, chosen, generator, dtype=model.dtype)
        targets = targets.to(model.device)
        outputs = answers(model, readout, task, inputs.to(model.device))
        loss += mean_loss(task, outputs, targets).item() * len(chosen) / examples
        if task.target_kind == "class":
            right += int((outputs.argmax(-1) == targets).sum())
            answered += targets.numel()
    return Evaluation(loss, right / answered if task.target_kind == "class" else loss)
