"""Cholesky QR: B R = Y row by row, B nearly orthogonal, and what that has cost."""

from __future__ import annotations

import pytest
import torch

from gradprobe.linalg import cholesky_qr as module
from gradprobe.linalg.cholesky_qr import cholesky_qr
from gradprobe.linalg.rounding import COLUMNS, RoundingSketch


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("by", ["_by_lapack", "_by_torch"])
def test_the_factors_are_those_of_householder(
    by: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_by_lapack", getattr(module, by))
    Y, errors, probes = draw(2, 3, 9, 9, dtype=dtype), draw(2, 3, 9, 4), draw(9, 4, dtype=dtype)
    order = torch.arange(8, -1, -1).expand(2, 3, 9)
    factors, sizes, departure = cholesky_qr(Y, errors.to(dtype), probes, order)
    Q, R = torch.linalg.qr(Y.flip(-1))
    tolerance = 1e4 * torch.finfo(dtype).eps
    signs = R.diagonal(dim1=-2, dim2=-1).sign()
    torch.testing.assert_close(factors.Q, Q * signs.unsqueeze(-2), rtol=0, atol=tolerance)
    torch.testing.assert_close(factors.R, R * signs.unsqueeze(-1), rtol=0, atol=tolerance)
    torch.testing.assert_close(factors.Q @ factors.R, Y.flip(-1), rtol=0, atol=tolerance)
    in_basis = Q.double().mT @ errors
    root_mean_square = in_basis.square().mean(-1).sqrt()
    # That of the factors comes on top, a few units of rounding.
    assert (sizes > 0.5 * root_mean_square).all()
    assert (sizes < root_mean_square + 200).all()
    assert float(departure) < tolerance


@pytest.mark.parametrize("by", ["_by_lapack", "_by_torch"])
def test_a_departure_from_orthogonality_shows(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_by_lapack", getattr(module, by))
    Q = torch.linalg.qr(draw(8, 8))[0]
    departures = []
    for condition in (1e2, 1e6, 1e12):
        scales = torch.logspace(0, -1, 8, dtype=torch.float64) ** torch.tensor(condition).log10()
        Y = Q @ (scales.unsqueeze(-1) * torch.linalg.qr(draw(8, 8, seed=1))[0])
        departures.append(float(cholesky_qr(Y, draw(8, 4), draw(8, 4)).departure))
    assert departures[0] < 1e-10 < departures[1] < 1e-2
    assert not departures[2] < 0.1


def test_small_rows_are_kept_to_their_own_last_digits() -> None:
    scales = torch.logspace(0, -5, 12, dtype=torch.float64).unsqueeze(-1)
    Y = scales * draw(12, 12)
    factors, _, _ = cholesky_qr(Y, draw(12, 4), draw(12, 4))
    left = (factors.Q @ factors.R - Y).norm(dim=-1) / Y.norm(dim=-1)
    assert float(left.max()) < 1e-12


def test_the_sketch_knows_what_one_step_loses_and_the_next_brings_back() -> None:
    lost = torch.diag(torch.tensor([1.0, 1e-9, 1.0], dtype=torch.float64))
    Q = torch.linalg.qr(draw(3, 3))[0]
    sketch = RoundingSketch(torch.eye(3, dtype=torch.float64))
    joint, _ = sketch.with_errors(torch.eye(3, dtype=torch.float64))
    for step in (Q.T @ lost @ Q, torch.linalg.inv(Q.T @ lost @ Q)):
        joint = step @ joint
        norms = sketch.add_errors(joint)
    columns, errors = sketch.parted(joint)
    torch.testing.assert_close(columns, torch.eye(3, dtype=torch.float64), rtol=0, atol=1e-5)
    assert errors.shape == (3, COLUMNS)
    assert 1e7 < float(errors.abs().max()) < 1e11
    torch.testing.assert_close(norms, torch.ones_like(norms), rtol=0, atol=1e-5)
