"""The singular values of a product, each with its estimated error."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class Spectrum(NamedTuple):
    """Logarithms of singular values and how far to trust them.

    Attributes
    ----------
    log_singular_values
        Natural logarithms, float64, (*batch_shape, number of values), descending along the last
        axis; a structural zero is −inf.
    error
        Estimated absolute error of each logarithm, same shape. +inf: the arithmetic does not
        determine this value at all. A structural zero has error 0.
    resolved
        ``error <= tolerance`` of the product, same shape, bool.

    Examples
    --------
    >>> import torch
    >>> from gradprobe.linalg import GradedProduct
    >>> product = GradedProduct(2, generator=torch.Generator().manual_seed(0))
    >>> product.absorb(torch.diag(torch.tensor([1.0, 0.0], dtype=torch.float64)))
    >>> spectrum = product.log_singular_values()
    >>> spectrum.log_singular_values.tolist()
    [0.0, -inf]
    >>> spectrum.resolved.tolist()
    [True, True]
    """

    log_singular_values: Tensor
    error: Tensor
    resolved: Tensor
