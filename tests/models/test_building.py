"""Parameter counts, initialisation, constraints, and what `build` refuses."""

from __future__ import annotations

import inspect
import math
import re
from typing import Any

import pytest
import torch
from model_cases import CASES, build, draw_inputs

from gradprobe import models
from gradprobe.errors import ArgumentError, UnknownNameError
from gradprobe.models.orthogonal import Orthogonal
from gradprobe.models.registry import MODELS
from gradprobe.registry import look_up

READOUT_CLASSES = 10

INITIALISED_AS_THE_ANTISYMMETRIC_RNN = [
    "vanilla",
    "feedback",
    "lstm",
    "gru",
    "antisymmetric",
    "gated_antisymmetric",
    "gated_unstructured",
    "orthogonal",
]


@pytest.mark.parametrize(
    ("name", "units", "features", "published"),
    [
        ("antisymmetric", 128, 1, 9_674),
        ("gated_antisymmetric", 128, 1, 9_930),
        ("antisymmetric", 256, 3, 36_234),
        ("gated_antisymmetric", 256, 3, 37_258),
        ("gated_unstructured", 196, 3, 41_954),
        ("lstm", 128, 1, 67_850),
    ],
)
def test_degrees_of_freedom_are_the_published_counts(
    name: str, units: int, features: int, published: int
) -> None:
    model = models.build(name, input_size=features, hidden_size=units)
    assert model.degrees_of_freedom + READOUT_CLASSES * (units + 1) == published


@pytest.mark.parametrize(
    ("name", "options", "stored", "free"),
    [
        ("lstm", {"biases": "two"}, 4 * (16 + 8) + 32, 4 * (16 + 8) + 16),
        ("gru", {"biases": "two"}, 3 * (16 + 8) + 24, 3 * (16 + 8) + 16),
        ("vanilla", {"biases": "none"}, 24, 24),
        ("orthogonal", {}, 16 + 8 + 4, 6 + 8 + 4),
        ("antisymmetric", {"num_layers": 2}, (6 + 8 + 4) + (6 + 16 + 4), 44),
    ],
)
def test_stored_parameters_and_degrees_of_freedom(
    name: str, options: dict[str, Any], stored: int, free: int
) -> None:
    model = models.build(name, input_size=2, hidden_size=4, **options)
    assert (model.stored_parameters, model.degrees_of_freedom) == (stored, free)


@pytest.mark.parametrize("name", INITIALISED_AS_THE_ANTISYMMETRIC_RNN)
def test_initial_values_have_the_papers_variances(name: str) -> None:
    """V ~ N(0, 1/D) and W ~ N(0, σ_w²/n), variances; biases zero.  Sample error: a few per cent."""
    units, features, scale = 200, 50, 2.0
    options: dict[str, Any] = {} if name == "orthogonal" else {"recurrent_scale": scale}
    model = models.build(name, input_size=features, hidden_size=units, **options)
    cell = model.cells[0]
    assert cell.input_matrix().var().item() == pytest.approx(1 / features, rel=0.06)
    matrix = cell.recurrent_matrix().detach().clone()
    if name == "orthogonal":
        assert matrix.square().mean().item() == pytest.approx(1 / units, rel=1e-5)
    else:
        off_diagonal = matrix.flatten()[matrix.flatten().abs() > 0.011]
        variance = off_diagonal.square().sum() / matrix.numel()
        assert variance.item() == pytest.approx(scale**2 / units, rel=0.06)
    for parameter_name, parameter in model.named_parameters():
        if "bias" in parameter_name and name != "lstm":
            assert not parameter.any()


@pytest.mark.parametrize("case", CASES)
def test_a_generator_determines_the_model_and_torchs_own_is_left_alone(case: str) -> None:
    before = torch.get_rng_state()
    first, again, other = build(case, seed=5), build(case, seed=5), build(case, seed=6)
    assert torch.equal(before, torch.get_rng_state())
    pairs = list(zip(first.parameters(), again.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    inputs = draw_inputs()
    assert not torch.allclose(first(inputs)[0], other(inputs)[0])


def test_the_forget_bias_is_one_unless_asked_otherwise() -> None:
    cases: list[tuple[dict[str, Any], float]] = [
        ({}, 1.0),
        ({"forget_bias": 5.0, "biases": "two"}, 5.0),
    ]
    for options, expected in cases:
        cell = models.build("lstm", input_size=1, hidden_size=3, **options).cells[0]
        bias = cell.drive_bias()
        assert bias is not None
        assert bias.tolist() == [0.0] * 3 + [expected] * 3 + [0.0] * 6


def test_the_orthogonal_matrix_stays_orthogonal_while_it_is_trained() -> None:
    model = build("orthogonal-tanh", hidden_size=8)
    start = model.cells[0].recurrent_matrix().detach().clone()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(20):
        optimiser.zero_grad()
        model(draw_inputs())[0].square().sum().backward()
        optimiser.step()
    assert model.cells[0].constraint_error() < 1e-13
    assert (model.cells[0].recurrent_matrix() - start).abs().max() > 0.1


def test_a_broken_constraint_is_seen() -> None:
    matrix = models.build("antisymmetric", input_size=1, hidden_size=4, dtype=torch.float64)
    assert matrix.cells[0].constraint_error() == 0.0
    orthogonal = models.build("orthogonal", input_size=1, hidden_size=4, dtype=torch.float64)
    cell = orthogonal.cells[0]
    assert isinstance(cell, Orthogonal)
    torch.nn.utils.parametrize.remove_parametrizations(cell.recurrent, "weight")
    with torch.no_grad():
        cell.recurrent.weight[0, 0] += 0.1
    assert cell.constraint_error() > 0.01


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": "vanila"}, UnknownNameError, "unknown model 'vanila'; the models are: antisym"),
        ({"hidden_size": -3}, ArgumentError, "hidden_size must be a positive integer, got -3"),
        ({"hidden_size": True}, ArgumentError, "hidden_size must be a positive integer, got True"),
        ({"input_size": 2.0}, ArgumentError, "input_size must be a positive integer, got 2.0"),
        ({"num_layers": 0}, ArgumentError, "num_layers must be a positive integer, got 0"),
        ({"diffusion": 1}, ArgumentError, "model 'vanilla' has no option 'diffusion'; its options"),
        ({"initialiser": 1}, ArgumentError, "has no option 'initialiser'"),
        ({"recurrent_scale": math.nan}, ArgumentError, "recurrent_scale must be a finite number"),
        ({"biases": "three"}, ArgumentError, "biases must be one of 'none', 'one', 'two', got"),
        ({"dtype": torch.int64}, ArgumentError, "dtype must be a floating-point dtype"),
        ({"generator": 3}, ArgumentError, r"generator must be a torch\.Generator, got 3"),
        ({"name": "lstm", "biases": "none"}, ArgumentError, "forget_bias must be 0 when biases"),
        ({"name": "feedback", "step_size": 0}, ArgumentError, "step_size must be a positive num"),
        ({"name": "antisymmetric", "diffusion": -1}, ArgumentError, "diffusion must be zero or a"),
    ],
)
def test_build_refuses(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        models.build(**{"name": "vanilla", "input_size": 2, "hidden_size": 4, **arguments})


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("lipschitz", {"linear_skew_level": 1.5}, "linear_skew_level must be a number between 0"),
        ("lipschitz", {"nonlinear_skew_level": -1}, "nonlinear_skew_level must be zero or a pos"),
        ("lipschitz", {"linear_diffusion": -1}, "linear_diffusion must be zero or a positive"),
        ("lipschitz", {"step_size": 0}, "step_size must be a positive number"),
        ("soft_orthogonal", {"margin": 0}, "margin must be a positive number, got 0"),
        ("soft_orthogonal", {"margin": 1.1}, r"margin must be a number between 0 and 1, got 1\.1"),
        ("scornn", {"negative_share": 2}, r"negative_share must be a number between 0 and 1, got"),
        ("exprnn", {"initialisation": "haar"}, "initialisation must be one of 'cayley', 'henaff'"),
        ("chrono_lstm", {"longest_dependency": 1}, "longest_dependency must be at least 2 steps"),
        ("cfn", {"forget_bias": math.inf}, "forget_bias must be a finite number, got inf"),
        ("kru", {"factor_sizes": [2, 3]}, r"product is hidden_size, 4, got \[2, 3\]"),
        ("kru", {"factor_sizes": []}, r"product is hidden_size, 4, got \[\]"),
        ("kru", {"factor_sizes": [0, 4]}, "each of factor_sizes must be a positive integer"),
    ],
)
def test_options_that_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        models.build(name, input_size=1, hidden_size=4, **options)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (torch.zeros(5, 3, 4), r"inputs must have shape \(T, B, 2\), got \(5, 3, 4\)"),
        (torch.zeros(5, 2), r"inputs must have shape \(T, B, 2\), got \(5, 2\)"),
        (torch.zeros(0, 3, 2), "inputs must hold at least one step and one sequence"),
        (torch.zeros(5, 3, 2).double(), r"inputs must have the model's dtype torch\.float32, got"),
        ([[[0.0]]], r"inputs must be a torch\.Tensor, got list"),
    ],
)
def test_the_forward_pass_refuses(inputs: Any, message: str) -> None:
    model = models.build("vanilla", input_size=2, hidden_size=4)
    with pytest.raises(ArgumentError, match=message):
        model(inputs)


def test_the_forward_pass_refuses_a_state_of_the_wrong_shape() -> None:
    model = models.build("lstm", input_size=2, hidden_size=4)
    with pytest.raises(ArgumentError, match=r"state must have shape \(3, 8\), got \(3, 4\)"):
        model(torch.zeros(5, 3, 2), torch.zeros(3, 4))


@pytest.mark.parametrize("name", MODELS)
def test_every_option_of_a_model_is_documented(name: str) -> None:
    cell_class = look_up("model", MODELS, name)
    parameters = inspect.signature(cell_class).parameters.values()
    taken = {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
    headings = re.findall(r"^    ([\w, ]+)$", cell_class.__doc__, flags=re.MULTILINE)
    assert taken <= set(", ".join(headings).split(", "))
