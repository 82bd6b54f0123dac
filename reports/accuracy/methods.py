"""The ways to the log singular values of a product that the table compares."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import torch

from gradprobe.linalg import GradedProduct

if TYPE_CHECKING:
    from product_families import Steps

    from gradprobe.linalg import Spectrum


def naive_svd(steps: Steps, block: int | None) -> np.ndarray:
    """Multiply in float64, then take the singular values."""
    with np.errstate(all="ignore"):
        matrix = functools.reduce(lambda product, step: step @ product, steps)
    return _logs_of(matrix[:block, :block])


def scaled_svd(steps: Steps, block: int | None) -> np.ndarray:
    """Divide the product by its norm after every step, and take the singular values at the end."""
    matrix, log_scale = np.eye(len(steps[0])), 0.0
    for step in steps:
        matrix = step @ matrix
        norm = np.linalg.norm(matrix)
        if norm > 0:
            matrix, log_scale = matrix / norm, log_scale + np.log(norm)
    return _logs_of(matrix[:block, :block]) + log_scale


def qr_diagonal(steps: Steps, block: int | None) -> np.ndarray:
    """Add up log|diag R| of a sweep of QR factorisations; a block has none: NaN."""
    if block is not None:
        return np.full(block, np.nan)
    Q, logs = np.eye(len(steps[0])), np.zeros(len(steps[0]))
    for step in steps:
        Q, R = np.linalg.qr(step @ Q)
        with np.errstate(divide="ignore"):
            logs += np.log(np.abs(np.diag(R)))
    return np.sort(logs)[::-1]


def ours(steps: Steps, block: int | None, seed: int = 0) -> Spectrum:
    """Keep the product graded."""
    product = GradedProduct(len(steps[0]), generator=torch.Generator().manual_seed(seed))
    for step in steps:
        product.absorb(torch.from_numpy(np.ascontiguousarray(step)))
    if block is None:
        return product.log_singular_values()
    return product.block(slice(block), slice(block))


def _logs_of(matrix: np.ndarray) -> np.ndarray:
    """Return the log singular values; NaN for all if the product has overflowed."""
    if not np.isfinite(matrix).all():
        return np.full(len(matrix), np.nan)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.linalg.svd(matrix, compute_uv=False)))
