"""Which examples an iteration sees: a function of the seed and the iteration, and of nothing else.

No state has to be kept, so that a training goes on exactly where it stopped.
"""

from __future__ import annotations

import torch

from gradprobe.errors import ArgumentError
from gradprobe.seeds import stream_seed


class DataOrder:
    """A new permutation of all training examples for every epoch, cut into whole batches.

    The examples that are left over at the end of an epoch, fewer than a batch, wait for the next
    permutation.

    Parameters
    ----------
    examples
        How many there are.
    batch_size
        How many an iteration sees.
    seed
        Of the training; the permutation of epoch e is drawn from its stream ``"order/e"``.

    Raises
    ------
    ArgumentError
        There are fewer examples than a batch needs.

    Examples
    --------
    >>> order = DataOrder(examples=10, batch_size=5, seed=0)
    >>> sorted(order.batch(0) + order.batch(1))
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """

    def __init__(self, examples: int, batch_size: int, seed: int) -> None:
        if batch_size > examples:
            raise ArgumentError(
                f"batch_size must be at most the {examples} training examples, got {batch_size}"
            )
        self._examples = examples
        self._batch_size = batch_size
        self._seed = seed
        self._epoch: tuple[int, list[int]] | None = None

    def batch(self, iteration: int) -> list[int]:
        """Return the positions of the examples of update `iteration` = 0, 1, …."""
        epoch, place = divmod(iteration, self._examples // self._batch_size)
        start = place * self._batch_size
        return self._permutation(epoch)[start : start + self._batch_size]

    def _permutation(self, epoch: int) -> list[int]:
        if self._epoch is None or self._epoch[0] != epoch:
            generator = torch.Generator().manual_seed(stream_seed(self._seed, f"order/{epoch}"))
            order = torch.randperm(self._examples, generator=generator).tolist()
            self._epoch = epoch, order
        return self._epoch[1]
