"""Norms of a batch are followed a few sequences at a time: which, changes none of them."""

from __future__ import annotations

import pytest
import torch

from gradprobe import models
from gradprobe.probes import scaled_products
from gradprobe.probes.gradient_norm import gradient_norm


@pytest.mark.parametrize("name", ["vanilla", "lstm"])
def test_sequences_side_by_side_give_the_norms_of_each_alone(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = models.build(name, input_size=2, hidden_size=6)
    inputs = torch.randn(40, 5, 2, generator=torch.Generator().manual_seed(0))
    # Two at a time, then the fifth.
    monkeypatch.setattr(scaled_products, "ENTRIES_AT_ONCE", 2 * model.state_size * 6)
    trajectory, generator = models.trace(model, inputs), torch.Generator()
    products = scaled_products.scaled_products(trajectory, generator=generator, tolerance=1e-6)
    assert [product.batch_shape for _, product in products] == [(2,), (2,), (1,)]
    table = gradient_norm(trajectory, [15, 40], generator=generator)
    for sequence in range(5):
        alone = gradient_norm(
            models.trace(model, inputs[:, sequence : sequence + 1]), [15, 40], generator=generator
        )
        got = table[table["sequence"] == sequence].reset_index(drop=True)
        assert len(got) == len(alone) == 41 + 2 + 16 + 41
        assert (got[["quantity", "matrix", "step"]] == alone[["quantity", "matrix", "step"]]).all(
            axis=None
        )
        assert got["value"].to_numpy() == pytest.approx(alone["value"].to_numpy(), abs=1e-12)
