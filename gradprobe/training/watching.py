"""The hook that catches what a module is called with while an iteration is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from gradprobe.errors import UnsupportedModelError
from gradprobe.training.cell_passage import CellPassage
from gradprobe.training.finding import LAYERS
from gradprobe.training.sequence_passage import SequencePassage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from gradprobe.training.overhead import Stopwatch


class Watch:
    """A forward hook on a module, from now until `stop`, and the passages that it saw.

    Calls without gradients, such as those of a validation, are none of its business.

    Parameters
    ----------
    module
        The recurrent module.
    most
        How many sequences to keep.
    stopwatch
        What counts the time that this takes.

    Examples
    --------
    >>> from gradprobe.training.overhead import Stopwatch
    >>> module = torch.nn.GRU(1, 2)
    >>> watch = Watch(module, 8, Stopwatch())
    >>> module(torch.zeros(5, 3, 1))[0].sum().backward()
    >>> [passage.batch for passage in watch.stop()]
    [3]
    """

    def __init__(self, module: nn.Module, most: int, stopwatch: Stopwatch) -> None:
        self._most = most
        self._stopwatch = stopwatch
        self._passages: list[SequencePassage | CellPassage] = []
        self._handle = module.register_forward_hook(self._called, with_kwargs=True)

    def stop(self) -> list[SequencePassage | CellPassage]:
        """Remove the hook; return the passages to which gradients came back."""
        self._handle.remove()
        return [passage for passage in self._passages if passage.arrived]

    def _called(
        self, module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], result: object
    ) -> None:
        if not torch.is_grad_enabled():
            return
        with self._stopwatch.running():
            given = [*args, *kwargs.values()]
            inputs, state = given[0], given[1] if len(given) > 1 else None
            if isinstance(module, LAYERS):
                self._take_up_sequence(module, inputs, state, result)
            else:
                self._take_up_step(module, inputs, state, result)

    def _take_up_sequence(
        self, module: nn.Module, inputs: object, state: object, result: object
    ) -> None:
        if not self._full():
            passage = SequencePassage(module, inputs, state, result, self._most)
            self._passages.append(passage)

    def _take_up_step(
        self, module: nn.Module, inputs: object, state: object, result: object
    ) -> None:
        if not isinstance(inputs, torch.Tensor):
            raise UnsupportedModelError(
                f"a watched cell must be called as (input, state) with a tensor as input, got "
                f"{type(inputs).__name__} for {type(module).__name__}"
            )
        last = self._passages[-1] if self._passages else None
        if isinstance(last, CellPassage) and last.continues(state):
            last.append(inputs, state, result)
        elif not self._full():
            passage = CellPassage(module, self._most)
            passage.append(inputs, state, result)
            self._passages.append(passage)

    def _full(self) -> bool:
        """Whether there are gradients already for as many sequences as are wanted."""
        return sum(each.batch for each in self._passages if each.arrived) >= self._most
