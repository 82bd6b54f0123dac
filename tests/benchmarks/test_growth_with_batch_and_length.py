"""How the cost of norms at every step grows with the batch and with the length."""

from __future__ import annotations

from typing import Any

from end_to_end import build, draw_inputs, from_inputs
from interleaving import compare


def test_thirty_two_sequences(benchmark: Any) -> None:
    model, many, one = build(), draw_inputs(length=100, batch=32), draw_inputs(length=100)
    norms = compare(
        benchmark,
        lambda: from_inputs(model, many),
        bars={"one_sequence": 26.0},
        one_sequence=lambda: from_inputs(model, one),
    )
    print(benchmark.extra_info)
    assert norms.shape == (100, 32)


def test_eight_times_the_length(benchmark: Any) -> None:
    model, long, short = build(), draw_inputs(length=1600), draw_inputs(length=200)
    norms = compare(
        benchmark,
        lambda: from_inputs(model, long),
        bars={"an_eighth_of_the_length": 9.0},
        an_eighth_of_the_length=lambda: from_inputs(model, short),
    )
    print(benchmark.extra_info)
    assert norms.shape == (1600, 1)
