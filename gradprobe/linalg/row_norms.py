"""The sizes of the rows of a product, and of what rounding has done to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class RowNorms(NamedTuple):
    """What is known of the rows of M = 2^exponent P after a step, or after each of several.

    Attributes
    ----------
    norms
        2-norms of the rows of P, (*batch_shape, size); for several steps a leading axis more.
    errors
        2-norms of the rows of the sketch that follows their errors, of the same shape.
    live
        Which rows the zeros of the steps allow to be non-zero, of the same shape.
    exponent
        The power of two, (*batch_shape), int64; for several steps a leading axis more.

    Examples
    --------
    >>> import torch
    >>> none, at_least = torch.zeros(3), torch.ones(3, dtype=torch.bool)
    >>> alone = RowNorms(torch.ones(3), none, at_least, torch.tensor(0))
    >>> both = RowNorms(*(torch.stack((part, part)) for part in alone))
    >>> joined([both, both]).norms.shape
    torch.Size([4, 3])
    """

    norms: Tensor
    errors: Tensor
    live: Tensor
    exponent: Tensor


def joined(rows: Sequence[RowNorms]) -> RowNorms:
    """Return several steps' and several more steps' as one, one after the other."""
    return RowNorms(*(torch.cat(part) for part in zip(*rows, strict=True)))


def norms_of(vectors: Tensor) -> Tensor:
    """Return the 2-norms along the last axis, which is kept.

    Examples
    --------
    >>> import torch
    >>> norms_of(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[5.0], [0.0]]
    """
    norms: Tensor = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return norms


def stable_norms_of(vectors: Tensor) -> Tensor:
    """Return the 2-norms along the last axis, where squares may overflow or underflow.

    Examples
    --------
    >>> import torch
    >>> stable_norms_of(torch.tensor([3e-200, 4e-200], dtype=torch.float64)).item()
    5e-200
    """
    largest = vectors.abs().amax(-1, keepdim=True)
    scale = largest.masked_fill((largest == 0) | ~largest.isfinite(), 1.0)
    return (norms_of(vectors / scale) * scale).squeeze(-1)
