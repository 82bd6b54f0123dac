"""Families of step Jacobians by plain formulas, and references in arbitrary precision."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import torch

from gradprobe.linalg import GradedProduct, arbitrary_precision

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradprobe.linalg import Spectrum

Steps = list[np.ndarray]

SETTLING = 200  # steps before the first Jacobian of a chaotic network


def orthogonal_matrix(size: int, generator: np.random.Generator) -> np.ndarray:
    """Draw from the Haar measure."""
    Q, R = np.linalg.qr(generator.normal(size=(size, size)))
    return np.asarray(Q * np.sign(np.diag(R)))


def tanh_network(size: int, steps: int, seed: int = 0, gain: float = 1.0) -> Steps:
    """Follow h ← tanh(W h + x): J = diag(1 − h²) W; a large gain saturates it."""
    generator = np.random.default_rng(seed)
    W = generator.normal(size=(size, size)) * gain / np.sqrt(size)
    h, result = generator.normal(size=size), []
    for _ in range(steps):
        h = np.tanh(W @ h + generator.normal(size=size))
        result.append((1 - h**2)[:, None] * W)
    return result


def pre_activation_network(size: int, steps: int, seed: int = 0, gain: float = 1.0) -> Steps:
    """Follow a ← W tanh(a) + x: J = W diag(sech² a), very uneven columns at a large gain."""
    generator = np.random.default_rng(seed)
    W = generator.normal(size=(size, size)) * gain / np.sqrt(size)
    a, result = generator.normal(size=size), []
    for _ in range(steps):
        result.append(W / np.cosh(a) ** 2)
        a = W @ np.tanh(a) + generator.normal(size=size)
    return result


def orthogonal(size: int, steps: int, seed: int = 0) -> Steps:
    """All singular values are one."""
    generator = np.random.default_rng(seed)
    return [orthogonal_matrix(size, generator) for _ in range(steps)]


def clusters(size: int, steps: int, seed: int = 0) -> Steps:
    """Four clusters of equal values: U_t diag(e^(0, −1/3, −2/3, −1)) U_{t−1}ᵀ."""
    generator = np.random.default_rng(seed)
    rates = np.exp(np.repeat(np.linspace(0, -1, 4), size // 4))
    frames = [orthogonal_matrix(size, generator) for _ in range(steps + 1)]
    return [(after * rates) @ before.T for before, after in itertools.pairwise(frames)]


def chaotic(size: int, steps: int, seed: int = 0, gain: float = 4.0) -> Steps:
    """Follow h ← tanh(gain · W h) without input, after it has settled on its attractor."""
    generator = np.random.default_rng(seed)
    W = generator.normal(size=(size, size)) * gain / np.sqrt(size)
    h, result = generator.normal(size=size), []
    for t in range(-SETTLING, steps):
        h = np.tanh(W @ h)
        if t >= 0:
            result.append((1 - h**2)[:, None] * W)
    return result


def rectified(size: int, steps: int, seed: int = 0) -> Steps:
    """Follow h ← max(0, W h + x): J has a row of zeros for every inactive unit."""
    generator = np.random.default_rng(seed)
    W = generator.normal(size=(size, size)) * np.sqrt(2 / size)
    h, result = np.zeros(size), []
    for _ in range(steps):
        h = np.maximum(0.0, W @ h + generator.normal(size=size))
        result.append((h > 0)[:, None] * W)
    return result


def nilpotent(size: int, steps: int, seed: int = 0) -> Steps:
    """Strictly upper triangular Gaussian matrices: `size` of them make zero."""
    generator = np.random.default_rng(seed)
    return [np.triu(generator.normal(size=(size, size)), 1) for _ in range(steps)]


def explosive(size: int, steps: int, seed: int = 0) -> Steps:
    """Gaussian matrices that grow by e^1000 over all steps."""
    generator = np.random.default_rng(seed)
    scale = np.exp(1000 / steps) / np.sqrt(size)
    return [generator.normal(size=(size, size)) * scale for _ in range(steps)]


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return the logistic function of x."""
    return np.asarray(1 / (1 + np.exp(-x)))


def lstm(hidden: int, steps: int, seed: int = 0, forget_bias: float = 1.0) -> Steps:
    """Jacobians of (h, c), of size 2 · hidden, for an LSTM with Gaussian weights and inputs."""
    generator = np.random.default_rng(seed)
    W = generator.normal(size=(4, hidden, hidden)) / np.sqrt(hidden)
    h, c, result = np.zeros(hidden), np.zeros(hidden), []
    for _ in range(steps):
        drive = W @ h + generator.normal(size=(4, hidden))
        i, f, o = sigmoid(drive[0]), sigmoid(drive[1] + forget_bias), sigmoid(drive[3])
        g = np.tanh(drive[2])
        by_gate = np.stack([g * i * (1 - i), c * f * (1 - f), i * (1 - g**2)])
        c = f * c + i * g
        cell_by_hidden = np.einsum("gi,gij->ij", by_gate, W[:3])
        slope = o * (1 - np.tanh(c) ** 2)
        hidden_by_hidden = (np.tanh(c) * o * (1 - o))[:, None] * W[3]
        hidden_by_hidden += slope[:, None] * cell_by_hidden
        result.append(
            np.block([[hidden_by_hidden, np.diag(slope * f)], [cell_by_hidden, np.diag(f)]])
        )
        h = o * np.tanh(c)
    return result


def jordan_chain(size: int, steps: int, eigenvalue: float = 0.9) -> Steps:
    """Repeat a defective matrix."""
    return [np.diag(np.full(size, eigenvalue)) + np.diag(np.ones(size - 1), 1)] * steps


def there_and_back(size: int, steps: int, seed: int = 0) -> Steps:
    """Take the steps of a tanh network, then their inverses in reverse order."""
    there = tanh_network(size, steps, seed)
    return there + [np.linalg.inv(step) for step in reversed(there)]


def absorbed(steps: Sequence[np.ndarray], **options: object) -> GradedProduct:
    """Return the product of `steps`, with a seeded generator."""
    generator = torch.Generator().manual_seed(0)
    product = GradedProduct(steps[0].shape[0], generator=generator, **options)  # type: ignore[arg-type]
    for step in steps:
        product.absorb(torch.from_numpy(np.ascontiguousarray(step)))
    return product


def reference(steps: Sequence[np.ndarray], block: int | None = None) -> np.ndarray:
    """Return the log singular values of the product, or of its leading block, exactly rounded."""
    product = arbitrary_precision.ExactProduct(len(steps[0]))
    for step in steps:
        product.absorb(step)
    return product.log_singular_values(slice(block), slice(block)).log_singular_values


def sensitivity(
    steps: Sequence[np.ndarray], exact: np.ndarray, block: int | None = None
) -> np.ndarray:
    """Return how far perturbations of each J by 2^-53 of its norm move the reference."""
    generator = np.random.default_rng(99)
    moved = [step + rounding_of(step, generator) for step in steps]
    return distance(reference(moved, block), exact)


def sensitivity_to_entries(
    steps: Sequence[np.ndarray], exact: np.ndarray, block: int | None = None
) -> np.ndarray:
    """Return how far relative perturbations of each entry by 2^-53 move the reference."""
    generator = np.random.default_rng(98)
    moved = [step * (1 + 2.0**-52 * generator.choice((-1, 1), step.shape)) for step in steps]
    return distance(reference(moved, block), exact) / 2


def distance(logs: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Return |logs − exact|, 0 where both are −inf, and inf where only one is or logs is NaN."""
    both_zero = np.isneginf(logs) & np.isneginf(exact)
    with np.errstate(invalid="ignore"):
        off = np.where(both_zero, 0.0, np.abs(logs - exact))
    return np.where(np.isnan(off), np.inf, off)


def rounding_of(step: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw a Gaussian matrix whose Frobenius norm is about 2^-53 of that of `step`."""
    entries = generator.normal(size=step.shape) / step.shape[0]
    return np.asarray(2.0**-53 * np.linalg.norm(step) * entries)


def assert_honest(spectrum: Spectrum, exact: np.ndarray) -> None:
    """Fail if a value is farther from `exact` than its own stated error."""
    values, errors = spectrum.log_singular_values.numpy(), spectrum.error.numpy()
    off = distance(values, exact)
    worse = np.flatnonzero(~(off <= errors))
    table = [f"{i}: got {values[i]!r}, exact {exact[i]!r}, stated {errors[i]:.1e}" for i in worse]
    assert not table, "farther off than stated at " + "; ".join(table)


def assert_right_where_determined(
    spectrum: Spectrum, exact: np.ndarray, moved: np.ndarray, limit: float = 1e-9
) -> None:
    """Fail if a value that rounding moves by less than `limit` is not right to `limit`."""
    off = np.abs(spectrum.log_singular_values.numpy() - exact)
    determined = moved < limit
    assert determined.any()
    assert off[determined].max() <= limit, f"off by {off[determined].max():.1e}"


FAMILIES: dict[str, Callable[[], Steps]] = {
    "tanh": lambda: tanh_network(24, 150),
    "tanh to e^-2000": lambda: tanh_network(16, 400),
    "saturated tanh": lambda: tanh_network(16, 100, gain=4.0),
    "saturated before the activation": lambda: pre_activation_network(16, 60, gain=4.0),
    "orthogonal": lambda: orthogonal(24, 100),
    "clusters": lambda: clusters(16, 100),
    "explosive": lambda: explosive(16, 100),
    "lstm, forget bias 1": lambda: lstm(12, 100, forget_bias=1.0),
    "lstm, forget bias 5": lambda: lstm(12, 100, forget_bias=5.0),
}
