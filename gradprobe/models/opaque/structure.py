"""The state of a caller's cell, a tensor or nested tuples of tensors, as one flat vector."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from gradprobe import checks
from gradprobe.errors import ArgumentError
from gradprobe.models.opaque.nesting import leaves_of, map_leaves, same_nesting, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


@dataclass(frozen=True)
class Leaf:
    """One tensor of a state, shape (B, *shape)."""

    shape: tuple[int, ...]
    is_complex: bool = False
    integer: torch.dtype | None = None

    @classmethod
    def like(cls, tensor: Tensor) -> Leaf:
        """Return the leaf that stands for a tensor."""
        real = tensor.is_floating_point() or tensor.is_complex()
        return cls(tuple(tensor.shape[1:]), tensor.is_complex(), None if real else tensor.dtype)

    @property
    def size(self) -> int:
        """How many real numbers it holds for one sequence."""
        return math.prod(self.shape) * (2 if self.is_complex else 1)

    def __str__(self) -> str:
        kind = "complex " if self.is_complex else _kind(self.integer)
        return kind + _axes(("B", *self.shape))


@dataclass(frozen=True)
class StateStructure:
    """How tensors are nested in a state, and how long each of them is.

    The flat state holds the tensors one after the other, a complex one as (real, imaginary) pairs.
    Integers, such as a counter, are carried along in it; nothing depends on them differentiably.

    Parameters
    ----------
    nested
        The leaves, nested as the tensors are.

    Examples
    --------
    >>> structure = StateStructure.of((3, (2, 2)))
    >>> structure.size, str(structure)
    (7, '((B, 3), ((B, 2), (B, 2)))')
    >>> h, (a, b) = structure.unflatten(torch.arange(7.0)[None])
    >>> h.tolist(), b.tolist()
    ([[0.0, 1.0, 2.0]], [[5.0, 6.0]])
    """

    nested: Any

    @classmethod
    def of(cls, description: object) -> StateStructure:
        """Return the structure that is described by sizes, or by a state as an example.

        Parameters
        ----------
        description
            Nested integers n for tensors (B, n), where a ``torch.Size`` stands for a tensor with
            several axes behind the first; or nested tensors, whose first axis is the batch.
        """
        leaves = list(leaves_of(description))
        if not leaves:
            raise ArgumentError(f"a state must hold at least one tensor, got {description!r}")
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        if not tensors:
            return cls(map_leaves(_leaf_of_size, description))
        batches = {tuple(leaf.shape[:1]) for leaf in tensors}
        if len(tensors) < len(leaves) or len(batches) > 1 or () in batches:
            raise ArgumentError(
                "a state must be a tensor, or nested tuples, lists or dicts of tensors, with the "
                f"batch as the first axis of each, got {describe(description)}"
            )
        if all(Leaf.like(tensor).integer for tensor in tensors):
            raise ArgumentError(
                "a state must hold a floating-point tensor, as integers have no derivatives, got "
                f"{describe(description)}"
            )
        return cls(map_leaves(Leaf.like, description))

    @property
    def leaves(self) -> list[Leaf]:
        """The tensors, in the order of the nesting."""
        return list(leaves_of(self.nested))

    @property
    def size(self) -> int:
        """S, how many real numbers a state holds for one sequence."""
        return sum(leaf.size for leaf in self.leaves)

    def slice_of(self, index: int) -> slice:
        """Return where tensor number `index` stands in the flat state."""
        if not 0 <= index < len(self.leaves):
            raise ArgumentError(
                f"hidden must be the number of one of the {len(self.leaves)} tensors of the "
                f"state, from 0, got {index!r}"
            )
        start = sum(leaf.size for leaf in self.leaves[:index])
        return slice(start, start + self.leaves[index].size)

    def flatten(self, state: object) -> Tensor:
        """Return (B, S), or raise an error that says how `state` differs from this structure."""
        tensors = list(leaves_of(state))
        fits = same_nesting(state, self.nested) and all(
            isinstance(tensor, torch.Tensor) and tensor.ndim >= 1 and Leaf.like(tensor) == leaf
            for tensor, leaf in zip(tensors, self.leaves, strict=True)
        )
        if not fits:
            raise ArgumentError(f"a state must be {self}, got {describe(state)}")
        return torch.cat([_as_real(tensor).flatten(1) for tensor in tensors], dim=-1)

    def unflatten(self, flat: Tensor) -> Any:
        """Return the state in the structure of the cell; each tensor is a copy of its own."""
        parts = iter(flat.split([leaf.size for leaf in self.leaves], dim=-1))
        return map_leaves(lambda leaf: _restored(next(parts), leaf), self.nested)

    def __str__(self) -> str:
        return text_of(self.nested)


def describe(state: object) -> str:
    """Return the shapes of a state's tensors, nested as they are, for messages.

    Examples
    --------
    >>> describe((torch.zeros(2, 3), None))
    '((2, 3), NoneType)'
    """

    def told(value: object) -> str:
        if not isinstance(value, torch.Tensor):
            return type(value).__name__
        real = value.is_floating_point() or value.is_complex()
        return _kind(None if real else value.dtype) + _axes(value.shape)

    return text_of(map_leaves(told, state))


def _kind(integer: torch.dtype | None) -> str:
    return "" if integer is None else f"{integer} ".removeprefix("torch.")


def _leaf_of_size(size: object) -> Leaf:
    axes = size if isinstance(size, torch.Size) else (size,)
    return Leaf(tuple(checks.positive_integer("each size in state_size", axis) for axis in axes))


def _axes(shape: Sequence[object]) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"


def _as_real(value: Tensor) -> Tensor:
    return torch.view_as_real(value) if value.is_complex() else value


def _restored(part: Tensor, leaf: Leaf) -> Tensor:
    if leaf.is_complex:
        return torch.view_as_complex(part.unflatten(-1, (*leaf.shape, 2)).contiguous()).clone()
    if leaf.integer is not None:
        part = part.detach().round().to(leaf.integer)
    return part.reshape(part.shape[0], *leaf.shape).clone()
