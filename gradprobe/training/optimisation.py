"""The optimisers of torch that a protocol can name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn

    from gradprobe.training.protocol import TrainingProtocol


def optimiser(
    protocol: TrainingProtocol, parameters: Iterable[nn.Parameter]
) -> torch.optim.Optimizer:
    """Return the optimiser that `protocol` names; its learning rate is set before every update.

    Parameters
    ----------
    protocol
        Its `optimizer`, `momentum` and `weight_decay` count.
    parameters
        Those to be updated.

    Examples
    --------
    >>> import torch
    >>> from gradprobe.training import TrainingProtocol
    >>> type(optimiser(TrainingProtocol(), [torch.nn.Parameter(torch.zeros(2))])).__name__
    'Adagrad'
    """
    rate, decay, momentum = protocol.learning_rate, protocol.weight_decay, protocol.momentum
    if protocol.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=momentum, weight_decay=decay)
    if protocol.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=rate, momentum=momentum, weight_decay=decay)
    if protocol.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=rate, weight_decay=decay)
    return torch.optim.Adagrad(parameters, lr=rate, weight_decay=decay)
