"""Leading singular values and norms without a matrix, against the dense path and closed forms."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gradprobe.errors import ArgumentError, NonFiniteError
from gradprobe.linalg import GradedProduct
from gradprobe.linalg.leading_values import LinearMap, leading_singular_values
from gradprobe.linalg.norm_estimate import RandomProbes, random_columns
from gradprobe.linalg.thin_product import ThinProduct

SIZE = 40


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def linear_map(steps: Sequence[Tensor], rows: slice | None = None) -> LinearMap:
    return LinearMap(
        lambda: steps,
        lambda: [step.mT for step in reversed(steps)],
        steps[0].shape[-1],
        tuple(steps[0].shape[:-2]),
        steps[0].dtype,
        rows=rows,
    )


def random_steps(length: int, scale: float = 1.0, batch: int = 2) -> list[Tensor]:
    shape = (length, batch, SIZE, SIZE)
    noise = torch.randn(shape, generator=generator(1), dtype=torch.float64)
    return list((scale * noise / SIZE**0.5).unbind(0))


def orthogonal_steps(length: int) -> list[Tensor]:
    return [torch.linalg.qr(step).Q for step in random_steps(length)]


@pytest.mark.parametrize(
    ("length", "scale", "rows"),
    [(1, 1.0, None), (30, 1.0, None), (500, 0.1, None), (300, 20.0, None), (60, 1.0, slice(5, 25))],
)
def test_the_leading_values_are_those_of_the_graded_product(
    length: int, scale: float, rows: slice | None
) -> None:
    steps = random_steps(length, scale)
    product = GradedProduct(SIZE, batch_shape=(2,), generator=generator())
    for step in steps:
        product.absorb(step)
    dense = product.log_singular_values() if rows is None else product.block(rows, rows)
    leading = leading_singular_values(
        linear_map(steps, rows), 5, generator=generator(), tolerance=1e-9, sweeps=30
    )
    off = (leading.spectrum.log_singular_values - dense.log_singular_values[..., :5]).abs()
    assert (off <= leading.spectrum.error + dense.error[..., :5]).all()
    assert leading.spectrum.resolved[..., :4].all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-9, 3.0))
def test_no_value_is_farther_off_than_its_stated_error(seed: int, spread: float) -> None:
    """Spectra from flat to wide, in few sweeps, so that many values have not settled."""
    logs = torch.rand(SIZE, generator=generator(seed), dtype=torch.float64) * spread
    basis = torch.randn(2, SIZE, SIZE, generator=generator(seed + 1), dtype=torch.float64)
    left, right = torch.linalg.qr(basis).Q
    step = left * logs.exp() @ right.mT
    leading = leading_singular_values(
        linear_map([step]), 6, generator=generator(seed), oversampling=4, sweeps=3
    )
    exact = logs.sort(descending=True).values[:6]
    off = (leading.spectrum.log_singular_values - exact).abs()
    assert (off <= leading.spectrum.error).all()


@pytest.mark.parametrize("count_above", [1, 6, 20])
@pytest.mark.parametrize("gap", [1e-6, 1e-3, 0.05])
def test_values_that_stand_out_of_a_flat_spectrum_a_little_are_within_the_errors(
    count_above: int, gap: float
) -> None:
    """No sweep parts them from the rest: what is unknown is how much of them has been seen."""
    logs = torch.zeros(100, dtype=torch.float64)
    logs[:count_above] = gap
    for seed in range(10):
        basis = torch.randn(2, 100, 100, generator=generator(seed), dtype=torch.float64)
        left, right = torch.linalg.qr(basis).Q
        step = left * logs.exp() @ right.mT
        leading = leading_singular_values(
            linear_map([step]), 6, generator=generator(seed + 1000), sweeps=2
        )
        off = (leading.spectrum.log_singular_values - logs[:6]).abs()
        assert (off <= leading.spectrum.error).all()


@pytest.mark.parametrize(("dtype", "off"), [(torch.float64, 1e-13), (torch.float32, 1e-4)])
def test_an_orthogonal_product_has_only_ones(dtype: torch.dtype, off: float) -> None:
    steps = [step.to(dtype) for step in orthogonal_steps(200)]
    leading = leading_singular_values(linear_map(steps), 8, generator=generator())
    assert leading.spectrum.log_singular_values.abs().max() < off
    assert leading.spectrum.error.max() < 20 * off


def test_a_product_that_goes_there_and_back_is_the_identity() -> None:
    noise = torch.randn(6, SIZE, SIZE, generator=generator(2), dtype=torch.float64)
    there = [torch.eye(SIZE, dtype=torch.float64) + 0.3 * part / SIZE**0.5 for part in noise]
    back = [torch.linalg.inv(step) for step in reversed(there)]
    leading = leading_singular_values(linear_map(there + back), 5, generator=generator())
    values, errors, resolved = leading.spectrum
    assert (values.abs() <= errors).all()
    assert values.abs().max() < 1e-9
    assert resolved.all()


def test_values_far_apart_keep_their_digits() -> None:
    steps = [torch.diag(0.5 ** torch.arange(SIZE, dtype=torch.float64))] * 100
    leading = leading_singular_values(linear_map(steps), 6, generator=generator())
    expected = -100 * math.log(2) * torch.arange(6, dtype=torch.float64)
    assert (leading.spectrum.log_singular_values - expected).abs().max() < 1e-11


def test_noise_in_place_of_zeros_is_not_resolved() -> None:
    """Nilpotent steps: what is left of a random subspace is rounding, which no sweep repeats."""
    shift = torch.diag(torch.ones(SIZE - 1, dtype=torch.float64), diagonal=1)
    leading = leading_singular_values(linear_map([shift] * SIZE), 3, generator=generator())
    assert not leading.spectrum.resolved.any()
    zero = [torch.zeros(SIZE, SIZE, dtype=torch.float64)]
    leading = leading_singular_values(linear_map(zero), 3, generator=generator())
    assert (leading.spectrum.log_singular_values == -math.inf).all()
    assert leading.spectrum.resolved.all()


def test_noise_that_repeats_is_not_resolved() -> None:
    """What a step of rank one leaves of other directions is rounding, the same in each sweep."""
    ones = [torch.ones(8, 8, dtype=torch.float64)]
    for seed in (0, 5, 8, 26):
        leading = leading_singular_values(linear_map(ones), 3, generator=generator(seed))
        assert leading.spectrum.resolved.tolist() == [True, False, False]
        assert leading.spectrum.log_singular_values[0].item() == pytest.approx(math.log(8))


def test_rows_that_are_zero_leave_zeros() -> None:
    step = torch.diag(torch.tensor([1.0, 2.0, 0.0, 0.0], dtype=torch.float64))
    leading = leading_singular_values(linear_map([step]), 3, generator=generator())
    assert leading.spectrum.log_singular_values.exp().tolist() == pytest.approx([2.0, 1.0, 0.0])
    assert leading.spectrum.resolved.all()


def test_the_known_part_makes_an_estimate_of_the_norm_better() -> None:
    steps = random_steps(100)
    leading = leading_singular_values(linear_map(steps), 8, generator=generator())
    like = torch.empty((), dtype=torch.float64)
    columns = random_columns(SIZE, 16, batch_shape=(2,), like=like, generator=generator(3))
    probes = RandomProbes(columns)
    for step in steps:
        probes.absorb(step)
    product = GradedProduct(SIZE, batch_shape=(2,), generator=generator())
    for step in steps:
        product.absorb(step)
    exact = (2 * product.log_singular_values().log_singular_values).logsumexp(-1) / 2
    plain, better = (
        probes.log_norm(),
        probes.log_norm_beyond(leading.directions, leading.log_values),
    )
    assert ((plain.log_norm - exact).abs() < 4 * plain.standard_error).all()
    assert ((better.log_norm - exact).abs() < 4 * better.standard_error + 1e-12).all()
    assert (better.standard_error < plain.standard_error / 100).all()


def test_the_standard_error_is_the_spread_of_the_estimates() -> None:
    """400 estimates of the norm of the identity: their deviation is what each of them states."""
    like = torch.empty((), dtype=torch.float64)
    columns = random_columns(SIZE, 32, batch_shape=(400,), like=like, generator=generator())
    estimate = RandomProbes(columns).log_norm()
    exact = 1 / (2 * math.sqrt(2 * SIZE * 32 / 4))  # √(2/(N m)) / 2
    assert abs(float(estimate.log_norm.std()) / exact - 1) < 0.15
    assert abs(float(estimate.standard_error.mean()) / exact - 1) < 0.1
    assert abs(float(estimate.log_norm.mean()) - math.log(SIZE) / 2) < 0.003


def test_norms_at_any_scale() -> None:
    columns = torch.ones(3, 2, dtype=torch.float64)
    for scale in (1e-200, 1e200):
        probes = RandomProbes(columns)
        for _ in range(50):
            probes.absorb(torch.eye(3, dtype=torch.float64) * scale)
        expected = math.log(3) / 2 + 50 * math.log(scale)
        assert abs(probes.log_norm().log_norm.item() - expected) < 1e-10


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: leading_singular_values(
                linear_map(random_steps(2)), SIZE + 1, generator=generator()
            ),
            ArgumentError,
            "count must be at most the size 40, got 41",
        ),
        (
            lambda: leading_singular_values(
                linear_map(random_steps(2), slice(0, 4)), 5, generator=generator()
            ),
            ArgumentError,
            "count must be at most the size 4, got 5",
        ),
        (lambda: ThinProduct(torch.ones(2, 3)), ArgumentError, "at most the 2 rows, got 3 columns"),
        (
            lambda: RandomProbes(torch.ones(2, 1)),
            ArgumentError,
            "columns must be at least 2, got 1",
        ),
        (
            lambda: ThinProduct(torch.eye(2)).absorb(torch.full((2, 2), math.nan)),
            NonFiniteError,
            "step 1 holds NaN or an infinity",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call: object, error: type[Exception], message: str) -> None:
    assert callable(call)
    with pytest.raises(error, match=message):
        call()
