"""Condition and effective rank of a matrix, from the logarithms of its singular values."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradprobe.linalg.spectrum import Spectrum

LINEAR = 0.1
"""Larger errors of the singular values' logarithms are outside the linear regime."""


class Estimate(NamedTuple):
    """Values and how far to trust them, each of shape (*batch_shape).

    Attributes
    ----------
    value
        The values, float64.
    error
        Estimated absolute errors; +inf: not determined.

    Examples
    --------
    >>> import numpy as np
    >>> Estimate(np.zeros(2), np.full(2, 1e-12)).error.tolist()
    [1e-12, 1e-12]
    """

    value: np.ndarray
    error: np.ndarray


def log_condition(spectrum: Spectrum) -> Estimate:
    r"""Return log κ = log σ_1 − log σ_S; +inf where the smallest value is a true zero.

    Examples
    --------
    >>> import torch
    >>> from gradprobe.linalg import GradedProduct
    >>> product = GradedProduct(2)
    >>> product.absorb(torch.diag(torch.tensor([4.0, 2.0], dtype=torch.float64)))
    >>> round(log_condition(product.log_singular_values()).value.item(), 6)  # log 2
    0.693147
    """
    logs, errors = _arrays(spectrum)
    largest, smallest = logs[..., 0], logs[..., -1]
    singular = np.isneginf(smallest)
    value = np.where(singular, np.inf, np.where(singular, 0.0, largest) - smallest)
    return Estimate(value, np.where(singular, errors[..., -1], errors[..., 0] + errors[..., -1]))


def effective_rank(spectrum: Spectrum) -> Estimate:
    r"""Return exp H, H = −Σ p_i log p_i the entropy of p_i = σ_i / Σ σ; 0 for the zero matrix.

    References
    ----------
    Roy, Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007.

    Examples
    --------
    >>> import torch
    >>> from gradprobe.linalg import GradedProduct
    >>> product = GradedProduct(3)
    >>> product.absorb(torch.eye(3, dtype=torch.float64))
    >>> round(effective_rank(product.log_singular_values()).value.item(), 12)
    3.0
    """
    return _of_ratios(spectrum, _exponential_of_entropy, _gradient_of_effective_rank)


def stable_rank(spectrum: Spectrum) -> Estimate:
    r"""Return ‖M‖_F² / ‖M‖₂² = Σ (σ_i / σ_1)²; 0 for the zero matrix.

    References
    ----------
    Rudelson, Vershynin, "Sampling from large matrices: an approach through geometric functional
    analysis", Journal of the ACM 54, 2007.

    Examples
    --------
    >>> import torch
    >>> from gradprobe.linalg import GradedProduct
    >>> product = GradedProduct(2)
    >>> product.absorb(torch.diag(torch.tensor([2.0, 1.0], dtype=torch.float64)))
    >>> round(stable_rank(product.log_singular_values()).value.item(), 12)
    1.25
    """
    return _of_ratios(spectrum, _sum_of_squares, _gradient_of_stable_rank)


def _arrays(spectrum: Spectrum) -> tuple[np.ndarray, np.ndarray]:
    return spectrum.log_singular_values.cpu().numpy(), spectrum.error.cpu().numpy()


def _of_ratios(
    spectrum: Spectrum,
    function: Callable[[np.ndarray], np.ndarray],
    gradient: Callable[[np.ndarray], np.ndarray],
) -> Estimate:
    """Evaluate a function of the ratios σ_i / σ_1, and its error.

    Values that are determined contribute to the error to first order.  Those that are not lie
    anywhere between zero and the least of the determined values before them: the function is taken
    at both ends as well.
    """
    logs, errors = _arrays(spectrum)
    zero = np.isneginf(logs[..., :1])
    ratios = np.exp(logs - np.where(zero, 0.0, logs[..., :1]))
    known = errors <= LINEAR
    value = function(ratios)
    error = (np.abs(gradient(ratios)) * np.where(known, errors, 0.0)).sum(axis=-1)
    error = error + 4 * np.finfo(np.float64).eps * value * np.sqrt(ratios.shape[-1])
    least = np.minimum.accumulate(np.where(known, ratios, 1.0), axis=-1)
    for end in (0.0, least * np.exp(LINEAR)):
        error = error + np.abs(function(np.where(known, ratios, end)) - value)
    error = np.where(known[..., 0], error, np.inf)
    return Estimate(value, np.where(zero[..., 0], errors[..., 0], error))


def _probabilities(ratios: np.ndarray) -> np.ndarray:
    total = ratios.sum(axis=-1, keepdims=True)
    probabilities: np.ndarray = ratios / np.where(total > 0, total, 1.0)
    return probabilities


def _logarithms(probabilities: np.ndarray) -> np.ndarray:
    """Return log p, and 0 where p = 0, which p log p multiplies by 0."""
    logs: np.ndarray = np.log(np.where(probabilities > 0, probabilities, 1.0))
    return logs


def _exponential_of_entropy(ratios: np.ndarray) -> np.ndarray:
    p = _probabilities(ratios)
    values: np.ndarray = np.exp(-(p * _logarithms(p)).sum(axis=-1)) * (ratios[..., 0] > 0)
    return values


def _gradient_of_effective_rank(ratios: np.ndarray) -> np.ndarray:
    """Return ∂(exp H)/∂(log σ_i) = −exp(H) p_i (log p_i + H)."""
    p = _probabilities(ratios)
    entropy = -(p * _logarithms(p)).sum(axis=-1, keepdims=True)
    gradient: np.ndarray = -np.exp(entropy) * p * (_logarithms(p) + entropy)
    return gradient


def _sum_of_squares(ratios: np.ndarray) -> np.ndarray:
    values: np.ndarray = np.square(ratios).sum(axis=-1)
    return values


def _gradient_of_stable_rank(ratios: np.ndarray) -> np.ndarray:
    """Return ∂/∂(log σ_i): 2 (σ_i/σ_1)², and for i = 1 minus the sum of all others."""
    gradient: np.ndarray = 2 * np.square(ratios)
    gradient[..., 0] = -gradient[..., 1:].sum(axis=-1)
    return gradient
