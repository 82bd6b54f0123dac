"""Every value against arbitrary precision: right where determined, honest everywhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from product_families import (
    FAMILIES,
    absorbed,
    assert_honest,
    assert_right_where_determined,
    jordan_chain,
    lstm,
    reference,
    sensitivity,
    there_and_back,
)


@pytest.mark.parametrize("family", FAMILIES)
def test_spectrum_matches_arbitrary_precision(family: str) -> None:
    steps = FAMILIES[family]()
    spectrum = absorbed(steps, tolerance=1e-9).log_singular_values()
    exact = reference(steps)
    assert_honest(spectrum, exact)
    assert_right_where_determined(spectrum, exact, sensitivity(steps, exact))
    assert spectrum.resolved.all()


@pytest.mark.parametrize("family", FAMILIES)
def test_logarithms_sum_to_those_of_the_determinants(family: str) -> None:
    steps = FAMILIES[family]()
    total = float(absorbed(steps).log_singular_values().log_singular_values.sum())
    assert total == pytest.approx(
        sum(np.linalg.slogdet(step)[1] for step in steps), rel=1e-13, abs=1e-10
    )


def test_a_defective_chain_is_unresolved() -> None:
    steps = jordan_chain(32, 800)
    spectrum = absorbed(steps).log_singular_values()
    assert_honest(spectrum, reference(steps))
    assert not spectrum.resolved[-1]
    assert spectrum.error[-1] == torch.inf


def test_forty_steps_and_their_inverses_are_unresolved() -> None:
    steps = there_and_back(16, 40)
    spectrum = absorbed(steps).log_singular_values()
    assert_honest(spectrum, reference(steps))
    assert not spectrum.resolved[[0, 1, 2, -3, -2, -1]].any()


def test_the_hidden_block_of_an_lstm_with_forget_bias_five_is_honest() -> None:
    steps = lstm(16, 200, forget_bias=5.0)
    spectrum = absorbed(steps).block(slice(0, 16), slice(0, 16))
    assert_honest(spectrum, reference(steps, block=16))
    assert not spectrum.resolved[-1]


def test_the_hidden_block_of_an_lstm_with_forget_bias_one_is_exact() -> None:
    steps = lstm(16, 100, forget_bias=1.0)
    spectrum = absorbed(steps, tolerance=1e-9).block(slice(0, 16), slice(0, 16))
    exact = reference(steps, block=16)
    assert_honest(spectrum, exact)
    assert_right_where_determined(spectrum, exact, sensitivity(steps, exact, block=16))
    assert spectrum.resolved.all()
