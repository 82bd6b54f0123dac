"""Many cotangents through one piece of differentiable code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gradprobe.errors import NonFiniteError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def pull_back(outputs: Tensor, leaves: Sequence[Tensor], cotangents: Tensor) -> list[Tensor]:
    """Return (∂outputs/∂leaf)ᵀ applied to each cotangent, for every leaf.

    All cotangents go back together where every operation on the way can be batched by
    ``torch.vmap``, and one by one where not, with the same result.

    Parameters
    ----------
    outputs
        Of any shape.
    leaves
        Tensors that require gradients.
    cotangents
        Shape (k, *outputs.shape).

    Returns
    -------
    list of Tensor
        For each leaf, shape (k, *leaf.shape); zeros for one that the outputs do not depend on.

    Raises
    ------
    NonFiniteError
        A result is NaN or infinite.

    Examples
    --------
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> pull_back(x.square(), [x], torch.eye(2))[0].tolist()
    [[2.0, 0.0], [0.0, 4.0]]
    """
    if not outputs.requires_grad:
        return [leaf.new_zeros(len(cotangents), *leaf.shape) for leaf in leaves]
    try:
        parts = torch.autograd.grad(
            outputs,
            leaves,
            cotangents,
            retain_graph=True,
            allow_unused=True,
            is_grads_batched=True,
        )
    except RuntimeError:  # vmap refuses an operation; a fault of another kind shows again below
        parts = _one_by_one(outputs, leaves, cotangents)
    return [
        leaf.new_zeros(len(cotangents), *leaf.shape) if part is None else _finite(part.detach())
        for leaf, part in zip(leaves, parts, strict=True)
    ]


def _finite(part: Tensor) -> Tensor:
    real = torch.view_as_real(part) if part.is_complex() else part
    if real.numel() and not bool(torch.stack(real.aminmax()).isfinite().all()):
        raise NonFiniteError(
            "a derivative of the model's step by its inputs or parameters is NaN or infinite; see "
            "whether a square root, a division or a logarithm in the model meets zero"
        )
    return part


def _one_by_one(
    outputs: Tensor, leaves: Sequence[Tensor], cotangents: Tensor
) -> tuple[Tensor, ...]:
    rows = [
        torch.autograd.grad(outputs, leaves, cotangent, retain_graph=True, materialize_grads=True)
        for cotangent in cotangents
    ]
    return tuple(torch.stack(parts) for parts in zip(*rows, strict=True))
