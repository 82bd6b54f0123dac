"""States and inputs of modules of a caller's own: their structure, and what is inferred."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from opaque_cells import BATCH, CELLS, FEATURES, LENGTH, UNITS, Base, Embedding, Plain, draw_inputs
from torch import Tensor

import gradprobe as gp
from gradprobe import models
from gradprobe.errors import ArgumentError
from gradprobe.models.opaque.structure import StateStructure


@pytest.mark.parametrize("case", CELLS)
def test_the_state_is_kept_in_the_structure_of_the_cell(case: str) -> None:
    kind, state_size, _ = CELLS[case]
    cell, inputs = kind(), draw_inputs()
    structure = StateStructure.of(state_size)
    state = structure.unflatten(torch.rand(BATCH, structure.size, generator=torch.Generator()))
    model = models.adapt(cell, state_size=state)
    final = model(inputs, copy.deepcopy(state))[1]
    with torch.no_grad():
        for now in inputs:
            state = cell(now, state)
            state = state[1] if case == "with-output" else state
    torch.testing.assert_close(final, structure.flatten(state))


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (torch.zeros(BATCH, 5), r"a state must be \(\(B, 4\), \(B, 4\)\), got \(3, 5\)"),
        ((torch.zeros(BATCH, 4),), r"a state must be .*, got \(\(3, 4\)\)"),
        ((torch.zeros(1, 4), torch.zeros(1, 4)), r"must hold the 3 sequences .*, got \(1, …\)"),
        ([torch.zeros(BATCH, 4)] * 2, r"a state must be .*, got \[\(3, 4\), \(3, 4\)\]"),
    ],
)
def test_a_state_of_the_wrong_structure_is_refused(state: object, reason: str) -> None:
    model = models.adapt(lambda x, s: (s[0] + s[1], s[1]), state_size=(UNITS, UNITS))
    with pytest.raises(ArgumentError, match=reason):
        models.trace(model, draw_inputs(), state)


def test_the_state_is_inferred_where_the_cell_tells_it() -> None:
    class Optional(Base):
        input_size = FEATURES

        def forward(self, x: Tensor, state: Any = None) -> Any:
            h, c = (x.new_zeros(len(x), UNITS),) * 2 if state is None else state
            return self.tanh(x, h), c + h

    class Sized(Plain):
        input_size, hidden_size = FEATURES, UNITS

    assert models.adapt(Optional()).state_size == 2 * UNITS
    assert models.adapt(Sized()).state_size == UNITS
    model = models.adapt(Sized().double(), example_input=draw_inputs()[0])
    assert model.state_size == UNITS
    with pytest.raises(ArgumentError, match=r"could not be inferred, .* no input_size; say what"):
        models.adapt(Plain())
    with pytest.raises(ArgumentError, match=r"without a state: TypeError: .*missing"):
        gp.probe(Plain(), draw_inputs())


def test_integer_inputs_reach_the_cell_as_they_are() -> None:
    cell = Embedding()
    inputs = torch.randint(7, (LENGTH, BATCH), generator=torch.Generator())
    table = gp.probe(cell, inputs, ["singular_values"], state=torch.zeros(BATCH, UNITS))
    embedded = cell.embedding.weight.detach()[inputs]
    same = gp.probe(Plain(), embedded, ["singular_values"], state=torch.zeros(BATCH, UNITS))
    assert (table["value"] - same["value"]).abs().max() < 1e-12
