"""Gradients of the loss, caught on their way back."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


class Gradients:
    """The gradients that come back to tensors, by the number under which these are watched.

    A tensor to which gradients come back twice, by two calls of ``backward``, gets their sum.

    Examples
    --------
    >>> doubled = 2 * torch.ones(3, requires_grad=True)
    >>> gradients = Gradients()
    >>> gradients.watch(0, doubled, lambda gradient: gradient[:2])
    >>> doubled.sum().backward()
    >>> gradients.by_number[0].tolist()
    [1.0, 1.0]
    """

    def __init__(self) -> None:
        self.by_number: dict[int, Tensor] = {}

    def watch(self, number: int, tensor: Tensor, cut: Callable[[Tensor], Tensor]) -> None:
        """Keep what `cut` leaves of the gradient of `tensor`, in float64 where there is float64."""
        if tensor.requires_grad:
            tensor.register_hook(partial(self._arrive, number, cut))

    def _arrive(self, number: int, cut: Callable[[Tensor], Tensor], gradient: Tensor) -> None:
        # A copy: the loop may change gradients in place later, by clipping them.
        new = widened(cut(gradient.detach()))
        before = self.by_number.get(number)
        self.by_number[number] = new if before is None else before + new


def widened(tensor: Tensor) -> Tensor:
    """Return a copy in float64, or float32 on a device that has no float64.

    Examples
    --------
    >>> widened(torch.zeros(1, dtype=torch.bfloat16)).dtype
    torch.float64
    """
    return tensor.to(torch.float32 if tensor.device.type == "mps" else torch.float64, copy=True)
