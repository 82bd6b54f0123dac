"""The learning rate over the iterations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradprobe.training.protocol import TrainingProtocol


def learning_rate(protocol: TrainingProtocol, iteration: int) -> float:
    r"""Return the learning rate of one update.

    With :math:`p = i / n` the part of the budget that is done before update i = 0 … n − 1, the rate
    is multiplied by 1 (``constant``), :math:`(1 + \cos πp)/2` (``cosine``; Loshchilov and Hutter,
    "SGDR", ICLR 2017, equation 5, without restarts), 1 − p (``linear``), or
    :math:`f^{\lfloor i/k \rfloor}` (``step``); and by min(1, (i + 1)/w) for a warm-up of w.

    Parameters
    ----------
    protocol
        Its `learning_rate`, `iterations`, `schedule` and `warm_up` count.
    iteration
        i, how many updates were made before.

    Examples
    --------
    >>> from gradprobe.training import TrainingProtocol
    >>> protocol = TrainingProtocol(learning_rate=0.2, schedule="cosine", iterations=100)
    >>> learning_rate(protocol, 0), round(learning_rate(protocol, 50), 3)
    (0.2, 0.1)
    """
    warm = min(1.0, (iteration + 1) / protocol.warm_up) if protocol.warm_up else 1.0
    return protocol.learning_rate * warm * _decay(protocol, iteration)


def _decay(protocol: TrainingProtocol, iteration: int) -> float:
    done = iteration / protocol.iterations
    if protocol.schedule == "cosine":
        return (1 + math.cos(math.pi * done)) / 2
    if protocol.schedule == "linear":
        return 1 - done
    if protocol.schedule_every is not None and protocol.schedule_factor is not None:
        return float(protocol.schedule_factor ** (iteration // protocol.schedule_every))
    return 1.0
