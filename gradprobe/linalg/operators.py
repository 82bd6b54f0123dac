"""What a factor of a product must offer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor


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

        Its exact zeros must be the structural ones. Called only at a step where the product
        looks singular, and at each step after one.
        """
        ...
