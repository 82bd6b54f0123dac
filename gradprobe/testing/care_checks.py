"""What holds for the model as a whole: it is left as it was, can be stored, and can be probed.

Each check yields a sentence for each fault that it finds.
"""

from __future__ import annotations

import copy
import io
import math
from typing import TYPE_CHECKING

import torch
from torch import nn

from gradprobe.models import Cell, OpaqueModel, RecurrentModel, adapt, trace
from gradprobe.probes import probe
from gradprobe.testing.subject import difference, jacobian_by_autograd
from gradprobe.testing.traces import traces_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from gradprobe.testing.subject import Subject

SMALLEST_COMPARED = {torch.float64: 1e-6}
"""σ_i / σ_1 down to which a dense SVD in this dtype tells a singular value."""


def module_is_left_untouched(subject: Subject) -> Iterator[str]:
    """Hold that probing changes no parameter, buffer, gradient, mode, hook or argument."""
    before = traces_of(subject)
    probe(subject.model, subject.inputs, ["gradient_norm"], state=subject.state)
    after = traces_of(subject)
    for what, value in before.items():
        if after.get(what) != value:
            yield (
                f"probing must leave {what} as it was; it works on a deep copy, so look at what "
                "the copy shares with the module (__deepcopy__, globals), and at what the step "
                "writes to"
            )


def parameters_are_shared(subject: Subject) -> Iterator[str]:
    """Hold that the model has the very parameters of the module, so that it follows a training."""
    if isinstance(subject.cell, nn.Module):
        ours = {id(parameter) for parameter in subject.model.parameters()}
        missing = [name for name, p in subject.cell.named_parameters() if id(p) not in ours]
        if missing:
            yield (
                "the adapted model must share the parameters of the module, but has not got "
                f"{', '.join(missing)}"
            )


@torch.no_grad()
def state_dict_restores_the_cell(subject: Subject) -> Iterator[str]:
    """Hold that saved parameters, loaded with ``weights_only=True``, give the same Jacobian."""
    first, other = (subject.model.working_copy(subject.working.dtype) for _ in range(2))
    inputs, state = subject.steps[-1], subject.states[-2]  # s_0 may be zero
    before = first.step(inputs, state)
    for number, tensor in enumerate(first.state_dict().values()):
        # In place: these are the parameters and buffers themselves.
        if isinstance(tensor, torch.Tensor) and (tensor.is_floating_point() or tensor.is_complex()):
            wave = torch.arange(tensor.numel(), dtype=torch.float64, device=tensor.device) + number
            tensor.mul_(1 + 0.2 * torch.sin(wave).reshape(tensor.shape).to(tensor.dtype))
    moved = first.step(inputs, state)
    if difference(moved, before) == 0:
        yield (
            "a step must follow the parameters, but other values gave the same state; do not keep "
            "what is computed from parameters between calls"
        )
    stream = io.BytesIO()
    torch.save(first.state_dict(), stream)
    stream.seek(0)
    try:
        other.load_state_dict(torch.load(stream, weights_only=True))
    except Exception as refusal:
        reason = str(refusal).partition("\n")[0]
        yield (
            "the state_dict must load with torch.load(…, weights_only=True); keep only tensors and "
            f"plain numbers in it; got {type(refusal).__name__}: {reason}"
        )
        return
    error = difference(
        jacobian_by_autograd(other, inputs, state), jacobian_by_autograd(first, inputs, state)
    )
    if difference(other.step(inputs, state), moved) > subject.rounding or error > subject.rounding:
        yield (
            "loaded parameters must give the Jacobian that was saved, got a relative difference of "
            f"{error:.1e}; register every tensor that is learned as a parameter or a buffer"
        )


def own_dtype_agrees_with_float64(subject: Subject) -> Iterator[str]:
    """Hold that the cell runs in its own dtype too, with J_1 to half of that dtype's digits."""
    path = trace(subject.model, subject.inputs, subject.state, dtype=None)
    got = path.step_jacobian(1).dense().to(subject.working.dtype)
    error = difference(got, subject.references[0])
    if error > math.sqrt(torch.finfo(path.model.dtype).eps):
        yield (
            f"the cell must give the same Jacobian in its own dtype, {path.model.dtype}, as in "
            f"{subject.working.dtype}, got a relative difference of {error:.1e}; look for "
            "differences of close numbers, and for a dtype written into the step"
        )


def singular_values_are_those_of_autograd(subject: Subject) -> Iterator[str]:
    """Hold that the singular values of M_T are those of a dense SVD, as far as that can tell."""
    product = subject.references[0]
    for reference in subject.references[1:]:
        product = reference @ product
    expected = torch.linalg.svdvals(product).cpu()
    table = probe(subject.model, subject.inputs, ["singular_values"], state=subject.state)
    rows = table[(table["quantity"] == "log_sigma") & (table["block"] == "state")]
    columns = [rows[name].tolist() for name in ("sequence", "rank", "value", "error", "resolved")]
    smallest = SMALLEST_COMPARED.get(subject.working.dtype, 1e-2)
    for sequence, rank, got, error, resolved in zip(*columns, strict=True):
        value, largest = float(expected[sequence, rank - 1]), float(expected[sequence, 0])
        told = resolved and value > smallest * largest
        if told and abs(got - math.log(value)) > subject.rounding / smallest + error:
            yield (
                f"singular value {rank} of ∂s_T/∂s_0 must have the logarithm "
                f"{math.log(value):.6f} for sequence {sequence}, got {got:.6f}"
            )
            return


def accelerator_agrees_with_the_processor(subject: Subject) -> Iterator[str]:
    """Hold that J_1 is the same on a CUDA device."""
    cell = copy.deepcopy(subject.cell)
    assert isinstance(cell, nn.Module)  # noqa: S101 - the table of checks says so
    cell.to("cuda")
    if isinstance(cell, Cell):
        model: RecurrentModel | OpaqueModel = RecurrentModel([cell], name=subject.model.name)
    else:
        options = dict(subject.options)
        if isinstance(subject.model, OpaqueModel) and "state_size" not in options:
            zeros = torch.zeros(1, subject.model.state_size, device="cuda")
            options["state_size"] = subject.model.structure.unflatten(zeros)
        model = adapt(cell, **options)
    path = trace(model, subject.inputs.cuda(), subject.state.cuda(), dtype=subject.working.dtype)
    got: Tensor = path.step_jacobian(1).dense().cpu()
    error = difference(got, subject.references[0].cpu())
    if error > subject.rounding:
        yield (
            "the step Jacobian must be the same on a CUDA device, got a relative difference of "
            f"{error:.1e}; make constants on the device of the state"
        )
