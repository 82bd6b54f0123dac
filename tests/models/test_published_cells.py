"""Published cells: their steps against other implementations, parameter counts, initial values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torchrecurrent
from model_cases import BATCH, FEATURES, UNITS, build, draw_inputs, draw_state
from numpy.typing import NDArray
from scipy import linalg, stats
from torch import Tensor, nn

from gradprobe import models
from gradprobe.errors import ArgumentError
from gradprobe.models import Cell, Initialiser
from gradprobe.models.kru import Kru
from gradprobe.models.lipschitz import SymmetricSkewMatrix
from gradprobe.models.soft_orthogonal import SoftOrthogonal

Array = NDArray[np.float64]


def cell_of(name: str, units: int, features: int = 1, *, seed: int = 0, **options: Any) -> Cell:
    model = models.build(
        name,
        input_size=features,
        hidden_size=units,
        generator=torch.Generator().manual_seed(seed),
        dtype=torch.float64,
        **options,
    )
    return model.cells[0]


def arrays(cell: nn.Module) -> dict[str, Array]:
    """Return the parameters by name."""
    return {name: value.detach().numpy() for name, value in cell.named_parameters()}


def sigmoid(values: Array) -> Array:
    return 1 / (1 + np.exp(-values))


def modrelu(values: Array, bias: Array) -> Array:
    return np.sign(values) * np.maximum(np.abs(values) + bias, 0)


def skew(entries: Array) -> Array:
    """Return A = −Aᵀ from its entries above the diagonal, row by row."""
    matrix = np.zeros((UNITS, UNITS))
    matrix[np.triu_indices(UNITS, 1)] = entries
    return matrix - matrix.T


# ---- steps


def lipschitz(p: dict[str, Array], x: Array, h: Array) -> Array:
    """Return the step of Erichson et al. with β_A = 0.6, γ_A = 0.001, β_W = 0.75, γ_W = 0.1."""
    first, second = p["linear.weight"], p["nonlinear.weight"]
    a = 0.4 * (first + first.T) + 0.6 * (first - first.T) - 0.001 * np.eye(UNITS)
    w = 0.25 * (second + second.T) + 0.75 * (second - second.T) - 0.1 * np.eye(UNITS)
    driven = np.tanh(h @ w.T + x @ p["input_weight"].T + p["bias"])
    return h + 0.3 * (h @ a.T + driven)


def irnn(p: dict[str, Array], x: Array, h: Array) -> Array:
    recurrent, driven = h @ p["recurrent_weight"].T, x @ p["input_weight"].T
    result: Array = np.maximum(recurrent + driven + p["biases.input"], 0)
    return result


def exprnn(p: dict[str, Array], x: Array, h: Array) -> Array:
    rotation = linalg.expm(skew(p["skew.upper_entries"]))
    return modrelu(h @ rotation.T + x @ p["input_weight"].T, p["bias"])


def scornn(p: dict[str, Array], x: Array, h: Array) -> Array:
    a, identity = skew(p["skew.upper_entries"]), np.eye(UNITS)
    matrix = np.linalg.inv(identity + a) @ (identity - a) @ np.diag([1.0, 1.0, -1.0, -1.0])
    return modrelu(h @ matrix.T + x @ p["input_weight"].T, p["bias"])


def kru(p: dict[str, Array], x: Array, h: Array) -> Array:
    first, second = (p[f"factors.{f}"][0] + 1j * p[f"factors.{f}"][1] for f in range(2))
    w, v = np.kron(first, second), p["input_weight"][:UNITS] + 1j * p["input_weight"][UNITS:]
    argument = (h[:, :UNITS] + 1j * h[:, UNITS:]) @ w.T + x @ v.T
    modulus = np.abs(argument)
    new = argument / modulus * np.maximum(modulus + p["bias"], 0)
    return np.concatenate((new.real, new.imag), axis=-1)


@pytest.mark.parametrize("step", [lipschitz, irnn, exprnn, scornn, kru])
def test_a_step_is_that_of_the_papers_formula(
    step: Callable[[dict[str, Array], Array, Array], Array],
) -> None:
    model = build(step.__name__)
    disturb(model)
    x, state = draw_inputs()[0], draw_state(model)
    ours = model.cells[0].step(x, state).detach().numpy()
    theirs = step(arrays(model.cells[0]), x.numpy(), state.numpy())
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-14)


def disturb(module: nn.Module) -> None:
    """Move every parameter from where it starts, which may be special."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(noise, alpha=0.3)


def copied(cell: nn.Module, **values: Tensor) -> nn.Module:
    """Return somebody else's cell with our values in its parameters."""
    cell.double()
    with torch.no_grad():
        for name, value in values.items():
            getattr(cell, name).copy_(value)
    return cell


def torchrecurrents_cfn() -> tuple[models.RecurrentModel, nn.Module]:
    model = build("cfn")
    ours = model.cells[0]
    bias = ours.drive_bias()
    assert bias is not None
    theirs = torchrecurrent.CFNCell(FEATURES, UNITS)
    return model, copied(
        theirs, weight_hh=ours.recurrent_matrix(), weight_ih=ours.input_matrix(), bias_ih=bias
    )


def torchrecurrents_minimal_rnn() -> tuple[models.RecurrentModel, nn.Module]:
    model = build("minimal-rnn")
    parameters = dict(model.cells[0].named_parameters())
    return model, copied(
        torchrecurrent.MinimalRNNCell(FEATURES, UNITS),
        weight_hh=parameters["recurrent_weight"],
        weight_mm=parameters["latent_weight"],
        weight_ih=parameters["input_weight"],
        bias_ih=parameters["latent_bias"],
        bias_hh=parameters["gate_bias"],
    )


def torchs_lstm() -> tuple[models.RecurrentModel, nn.Module]:
    model = build("chrono-lstm")
    ours = model.cells[0]
    bias = ours.drive_bias()
    assert bias is not None
    theirs = nn.LSTMCell(FEATURES, UNITS)
    return model, copied(
        theirs,
        weight_hh=ours.recurrent_matrix(),
        weight_ih=ours.input_matrix(),
        bias_ih=bias,
        bias_hh=torch.zeros_like(bias),
    )


@pytest.mark.parametrize(
    "pair",
    [torchrecurrents_cfn, torchrecurrents_minimal_rnn, torchs_lstm],
    ids=lambda f: f.__name__,
)
def test_a_step_is_that_of_another_implementation(
    pair: Callable[[], tuple[models.RecurrentModel, nn.Module]],
) -> None:
    model, theirs = pair()
    x, state = draw_inputs()[0], draw_state(model)
    parts = state.split(UNITS, dim=-1)
    after = theirs(x, parts[0] if len(parts) == 1 else parts)
    expected = after if isinstance(after, Tensor) else torch.cat(after, dim=-1)
    torch.testing.assert_close(model.cells[0].step(x, state), expected, rtol=0, atol=1e-14)


# ---- gates


def test_the_gates_of_the_chaos_free_network() -> None:
    model = build("cfn")
    x, h = draw_inputs()[0].numpy(), draw_state(model).numpy()
    p = arrays(model.cells[0])
    gates = gates_of(model, x, h)
    for row, (name, bias) in enumerate([("forget", "forget_bias"), ("input", "input_bias")]):
        rows = slice(row * UNITS, (row + 1) * UNITS)
        argument = h @ p["recurrent_weight"][rows].T + x @ p["input_weight"][rows].T + p[bias]
        np.testing.assert_allclose(gates[name], sigmoid(argument), rtol=0, atol=1e-15)


def test_the_update_gate_of_the_minimal_rnn_keeps_the_state() -> None:
    model = build("minimal-rnn")
    x, h = draw_inputs()[0].numpy(), draw_state(model).numpy()
    p = arrays(model.cells[0])
    latent = np.tanh(x @ p["input_weight"].T + p["latent_bias"])
    new = model.cells[0].step(torch.tensor(x), torch.tensor(h)).detach().numpy()
    update = gates_of(model, x, h)["update"]
    np.testing.assert_allclose((new - latent) / (h - latent), update, rtol=1e-12, atol=0)


def gates_of(model: models.RecurrentModel, x: Array, h: Array) -> dict[str, Array]:
    cell = model.cells[0]
    state = torch.tensor(h).unflatten(-1, (cell.components, UNITS))
    recurrent = (torch.tensor(h) @ cell.recurrent_matrix().T).unflatten(-1, (-1, UNITS))
    gates = cell.gates(state, recurrent, cell.drive(torch.tensor(x)), cell.unit_parameters())
    assert all(gate.shape == (BATCH, UNITS) for gate in gates.values())
    return {name: gate.detach().numpy() for name, gate in gates.items()}


# ---- parameter counts


@pytest.mark.parametrize(
    ("name", "units", "published"),
    [
        ("soft_orthogonal", 128, 17_930),
        ("lipschitz", 64, 8_970),  # 9k
        ("lipschitz", 128, 34_314),  # 34k
        ("exprnn", 170, 16_415),  # 16k
        ("exprnn", 360, 68_950),  # 69k
        ("exprnn", 512, 136_970),  # 137k
        ("scornn", 170, 16_415),  # 16k
        ("scornn", 360, 68_950),  # 69k
        ("kru", 512, 11_346 + 512),  # 11k, and modReLU's bias
        ("chrono_lstm", 128, 67_850),
        ("irnn", 100, 100**2 + 2 * 100 + 1_010),
        ("cfn", 128, 2 * 128**2 + 5 * 128 + 1_290),
        ("minimal_rnn", 128, 2 * 128**2 + 3 * 128 + 1_290),
    ],
)
def test_the_degrees_of_freedom_are_the_published_counts(
    name: str, units: int, published: int
) -> None:
    model = models.build(name, input_size=1, hidden_size=units)
    assert model.degrees_of_freedom + 10 * (model.output_size + 1) == published


def rank_of_the_recurrent_matrix(cell: Cell) -> int:
    """Return the dimension of the set of matrices R near the present one."""
    own = {"input_weight", "bias", "biases.input"}
    parameters = {
        name: value.detach() for name, value in cell.named_parameters() if name not in own
    }
    jacobians = torch.func.jacrev(
        lambda values: torch.func.functional_call(_Matrix(cell), values, ())
    )({f"cell.{name}": value for name, value in parameters.items()})
    columns = [jacobian.flatten(2).flatten(0, 1) for jacobian in jacobians.values()]
    return int(torch.linalg.matrix_rank(torch.cat(columns, dim=1), rtol=1e-9))


class _Matrix(nn.Module):
    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self) -> Tensor:
        return self.cell.recurrent_matrix()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("exprnn", {}),
        ("scornn", {}),
        ("soft_orthogonal", {}),
        ("lipschitz", {}),
        ("lipschitz", {"linear_skew_level": 0, "nonlinear_skew_level": 1}),
    ],
)
def test_the_degrees_of_freedom_are_the_dimension_of_the_set_of_matrices(
    name: str, options: dict[str, Any]
) -> None:
    cell = cell_of(name, 5, features=2, **options)
    disturb(cell)
    others = cell.input_matrix().numel() + 5
    assert cell.degrees_of_freedom == rank_of_the_recurrent_matrix(cell) + others


# ---- constraints


@pytest.mark.parametrize("case", ["exprnn", "scornn", "soft-orthogonal", "lipschitz"])
def test_the_constraint_holds_while_the_network_is_trained(case: str) -> None:
    model = build(case, hidden_size=12)
    start = model.cells[0].recurrent_matrix().detach().clone()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(20):
        optimiser.zero_grad()
        model(draw_inputs())[0].square().sum().backward()
        optimiser.step()
    assert model.cells[0].constraint_error() < 1e-12
    assert (model.cells[0].recurrent_matrix() - start).abs().max() > 0.1


@pytest.mark.parametrize("name", ["exprnn", "scornn", "soft_orthogonal", "lipschitz"])
def test_a_matrix_that_breaks_the_constraint_is_seen(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = cell_of(name, 6)
    broken = cell.recurrent_matrix().detach().clone()
    broken[0, 0] += 0.5
    monkeypatch.setattr(cell, "recurrent_matrix", lambda: broken)
    assert cell.constraint_error() > 0.01


def test_the_singular_values_are_those_that_the_margin_gives() -> None:
    """1 + m tanh(p/2), as geotorch's AlmostOrthogonal with its scaled sigmoid states them."""
    cell = cell_of("soft_orthogonal", 6, margin=0.7)
    assert isinstance(cell, SoftOrthogonal)
    assert cell.constraint_error() < 1e-14
    parameters = torch.tensor([-50.0, -2.0, -0.1, 0.0, 1.0, 50.0], dtype=torch.float64)
    with torch.no_grad():
        cell.spectrum.copy_(parameters)
    expected = 1 + 0.7 * torch.tanh(parameters / 2)
    found = torch.linalg.svdvals(cell.recurrent_matrix())
    torch.testing.assert_close(found.flip(0), expected, rtol=0, atol=1e-14)
    assert cell.constraint_error() < 1e-14


@pytest.mark.parametrize(("skew_level", "diffusion"), [(0.0, 0.1), (0.75, 0.001), (1.0, 0.3)])
def test_the_symmetric_share_of_the_lipschitz_matrices(skew_level: float, diffusion: float) -> None:
    initialiser = Initialiser(torch.Generator().manual_seed(0), dtype=torch.float64)
    matrix = SymmetricSkewMatrix(9, skew_level, diffusion, 5.0, initialiser)
    symmetric = (matrix.weight + matrix.weight.T).detach().numpy()
    real_parts = np.linalg.eigvals(matrix().detach().numpy()).real + diffusion
    bound = (1 - skew_level) * np.linalg.eigvalsh(symmetric)
    assert real_parts.max() <= bound.max() + 1e-12
    assert real_parts.min() >= bound.min() - 1e-12


def test_the_penalty_of_kronecker_units_draws_the_factors_to_unitary_ones() -> None:
    cell = cell_of("kru", 12, features=2)
    assert isinstance(cell, Kru)
    assert [len(factor) for factor in cell.complex_factors()] == [2, 2, 3]
    assert cell.penalty().item() < 1e-28
    with torch.no_grad():
        cell.factors[0].copy_(torch.tensor([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 2.0]]]))
    # diag(1, 2i): WᴴW − I = diag(0, 3).
    assert cell.penalty().item() == pytest.approx(9.0, rel=1e-14)
    assert cell.unitarity_error() == pytest.approx(3.0, rel=1e-14)
    assert cell.constraint_error() == 0.0
    optimiser = torch.optim.SGD(cell.parameters(), lr=0.05)
    for _ in range(200):
        optimiser.zero_grad()
        cell.penalty().backward()
        optimiser.step()
    assert cell.unitarity_error() < 1e-6
    matrix = cell.complex_matrix().detach()
    identity = torch.eye(12, dtype=matrix.dtype)
    torch.testing.assert_close(matrix.mH @ matrix, identity, rtol=0, atol=1e-5)


def test_kronecker_units_train_on_sequences_that_begin_with_zeros() -> None:
    """Where h = V x = 0 and b > 0 modReLU jumps; the gradient must not be NaN."""
    model = build("kru")
    inputs = draw_inputs().requires_grad_()
    hidden, _ = model(torch.cat((torch.zeros_like(inputs), inputs)))
    later, _ = model(inputs)
    assert not hidden[: len(inputs)].any()
    torch.testing.assert_close(hidden[len(inputs) :], later, rtol=0, atol=1e-14)
    leaves = [inputs, *model.parameters()]
    padded = torch.autograd.grad(hidden[-1].square().sum(), leaves)
    for ours, expected in zip(
        padded, torch.autograd.grad(later[-1].square().sum(), leaves), strict=True
    ):
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-13)


def test_kronecker_factors_of_any_sizes_make_the_matrix() -> None:
    cell = cell_of("kru", 12, factor_sizes=[3, 4])
    assert isinstance(cell, Kru)
    first, second = (factor.detach().numpy() for factor in cell.complex_factors())
    assert first.shape == (3, 3)
    whole = np.kron(first, second)
    np.testing.assert_allclose(cell.complex_matrix().detach().numpy(), whole, rtol=0, atol=1e-15)


# ---- initial values


@pytest.mark.parametrize(
    ("name", "parameter", "distribution"),
    [
        ("lipschitz", "linear.weight", stats.norm(0, 0.1 / 40)),
        ("lipschitz", "nonlinear.weight", stats.norm(0, 0.1 / 40)),
        ("lipschitz", "input_weight", stats.uniform(-0.5, 1)),
        ("lipschitz", "bias", stats.uniform(-0.5, 1)),
        ("cfn", "recurrent_weight", stats.uniform(-0.07, 0.14)),
        ("cfn", "input_weight", stats.uniform(-0.07, 0.14)),
        ("minimal_rnn", "recurrent_weight", stats.norm(0, 40**-0.5)),
        ("minimal_rnn", "latent_weight", stats.norm(0, 40**-0.5)),
        ("minimal_rnn", "input_weight", stats.norm(0, 0.5)),
        ("irnn", "input_weight", stats.norm(0, 0.001)),
        ("soft_orthogonal", "input_weight", stats.uniform(-0.01, 0.02)),
        ("exprnn", "input_weight", stats.norm(0, 0.5**0.5)),
        ("exprnn", "bias", stats.uniform(-0.01, 0.02)),
        ("scornn", "input_weight", stats.uniform(-0.01, 0.02)),
        ("kru", "input_weight", stats.norm(0, 8**-0.5)),
    ],
)
def test_initial_values_follow_their_distribution(
    name: str, parameter: str, distribution: Any
) -> None:
    """Kolmogorov and Smirnov's test; a standard deviation off by a fifth would fail it."""
    samples = [
        arrays(cell_of(name, 40, features=4, seed=seed))[parameter].ravel() for seed in range(15)
    ]
    assert stats.kstest(np.concatenate(samples), distribution.cdf).pvalue > 0.01


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [
        ("cfn", "forget_bias", 1.0),
        ("cfn", "input_bias", -1.0),
        ("minimal_rnn", "gate_bias", 0.0),
        ("minimal_rnn", "latent_bias", 0.0),
        ("irnn", "biases.input", 0.0),
        ("soft_orthogonal", "bias", 0.0),
        ("soft_orthogonal", "spectrum", 0.0),
        ("scornn", "bias", 0.0),
        ("kru", "bias", 0.0),
    ],
)
def test_initial_values_that_are_constant(name: str, parameter: str, value: float) -> None:
    assert (arrays(cell_of(name, 5))[parameter] == value).all()


def test_the_identity_scale_of_the_irnn() -> None:
    matrix = cell_of("irnn", 3, identity_scale=0.01).recurrent_matrix()
    assert torch.equal(matrix, 0.01 * torch.eye(3, dtype=torch.float64))


@pytest.mark.parametrize("longest", [3, 300])
def test_chrono_gates_forget_at_uniform_times_and_let_in_what_they_forget(longest: int) -> None:
    bias = cell_of("chrono_lstm", 500, longest_dependency=longest).drive_bias()
    assert bias is not None
    input_bias, forget_bias, candidate_bias, output_bias = bias.detach().chunk(4)
    assert torch.equal(input_bias, -forget_bias)
    assert not candidate_bias.any()
    assert not output_bias.any()
    exponentials = stats.uniform(1, longest - 2)
    assert stats.kstest(forget_bias.exp().numpy(), exponentials.cdf).pvalue > 0.01


@pytest.mark.parametrize("name", ["exprnn", "scornn"])
@pytest.mark.parametrize("initialisation", ["cayley", "henaff"])
def test_skew_matrices_start_as_blocks_of_random_rotations(name: str, initialisation: str) -> None:
    cell = cell_of(name, 401, initialisation=initialisation)
    matrix = np.zeros((401, 401))
    matrix[np.triu_indices(401, 1)] = arrays(cell)["skew.upper_entries"]
    entries = matrix.diagonal(1)[::2].copy()
    matrix[range(0, 400, 2), range(1, 401, 2)] = 0
    assert not matrix.any()
    if initialisation == "henaff":
        angles, distribution = entries, stats.uniform(-math.pi, 2 * math.pi)
    else:  # −√((1 − cos u)/(1 + cos u)) = −tan(u/2)
        angles, distribution = -2 * np.arctan(entries), stats.uniform(0, math.pi / 2)
    assert stats.kstest(angles, distribution.cdf).pvalue > 0.01


def test_unitary_matrices_are_uniform() -> None:
    """Of U(2) in Haar measure every |entry|² is uniform between 0 and 1, every phase as well."""
    initialiser = Initialiser(torch.Generator().manual_seed(0), dtype=torch.float64)
    parts = torch.stack([initialiser.unitary(2).detach() for _ in range(800)])
    entries = (parts[:, 0] + 1j * parts[:, 1]).numpy()
    for row in range(2):
        for column in range(2):
            entry = entries[:, row, column]
            assert stats.kstest(np.abs(entry) ** 2, stats.uniform(0, 1).cdf).pvalue > 0.01
            phases = stats.uniform(-math.pi, 2 * math.pi)
            assert stats.kstest(np.angle(entry), phases.cdf).pvalue > 0.01


def test_the_last_signs_of_scornn_are_negative() -> None:
    signs = dict(cell_of("scornn", 10, negative_share=0.3).named_buffers())["signs"]
    assert signs.tolist() == [1.0] * 7 + [-1.0] * 3


# ---- options


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
