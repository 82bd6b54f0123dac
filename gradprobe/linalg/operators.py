"""What a factor of a product must offer."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from gradprobe import checks
from gradprobe.errors import ArgumentError


@runtime_checkable
class StepOperator(Protocol):
    """A linear map that is applied, not stored, such as the Jacobian of one step.

    A tensor of shape (*batch_shape, size, size) fits wherever a `StepOperator` does.
    """

    def __matmul__(self, columns: Tensor, /) -> Tensor:
        """Apply the map to each column of `columns`, (..., *batch_shape, size, k).

        Leading axes before `batch_shape` must broadcast, as they do for `torch.matmul`.
        """
        ...

    def dense(self) -> Tensor:
        """Return the matrix, (*batch_shape, size, size).

        Its exact zeros must be the structural ones. Called at the first step, at each one as long
        as zeros keep some entries of the state apart from others, at a step that is ill-conditioned
        or singular, and at each step after rows of the product became zero.
        """
        ...


def check_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return `dtype` if products can be kept in it."""
    if dtype not in (torch.float64, torch.float32):
        raise ArgumentError(f"dtype must be torch.float64 or torch.float32, got {dtype}")
    return dtype


def check_step(
    step: Tensor | StepOperator, number: int, shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    """See that the factor number `number` is a tensor of this shape and dtype, or an operator."""
    if not isinstance(step, Tensor):
        # What isinstance(step, StepOperator) asks, but not for microseconds at every step.
        if not (hasattr(step, "__matmul__") and hasattr(step, "dense")):
            raise ArgumentError(
                f"step {number} must be a tensor or have `@` and dense(), got {type(step).__name__}"
            )
        return
    checks.shape(f"step {number}", step, shape)
    if step.dtype != dtype:
        raise ArgumentError(f"step {number} must have dtype {dtype}, got {step.dtype}")


def chosen_mask(
    name: str, chosen: slice | Tensor, size: int, device: torch.device | None = None
) -> Tensor:
    """Return which of `size` entries a slice, or a tensor of indices or truth values, chooses.

    Examples
    --------
    >>> chosen_mask("rows", slice(1, None), 3).tolist()
    [False, True, True]
    """
    mask = torch.zeros(size, dtype=torch.bool, device=device)
    try:
        mask[chosen] = True
    except (IndexError, TypeError) as error:
        raise ArgumentError(
            f"{name} must be a slice or a tensor of indices below {size}, got {chosen!r}"
        ) from error
    if not bool(mask.any()):
        raise ArgumentError(f"{name} must choose at least one of {size}, got {chosen!r}")
    return mask
