"""`check_cell`: every check of the contract, all faults told at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from gradprobe.errors import CellContractError
from gradprobe.models import RecurrentModel
from gradprobe.models.working_copy import isolated
from gradprobe.testing import care_checks, cell_checks, jacobian_checks, step_checks
from gradprobe.testing.subject import subject_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from gradprobe.models import Cell
    from gradprobe.testing.subject import Subject

CHECKS: tuple[Callable[[Subject], Iterator[str]], ...] = (
    step_checks.step_keeps_the_state,
    step_checks.step_is_deterministic,
    step_checks.step_is_differentiable,
    step_checks.sequences_are_independent,
    jacobian_checks.step_jacobian_is_autograds,
    jacobian_checks.step_jacobian_is_a_finite_difference,
    jacobian_checks.product_is_that_of_the_matrix,
    jacobian_checks.transpose_is_the_adjoint,
    jacobian_checks.minus_identity_takes_off_the_identity,
    jacobian_checks.chunks_are_single_steps,
    step_checks.unrolled_pass_is_the_loop_of_steps,
    step_checks.unrolled_gradient_is_autograds,
    care_checks.own_dtype_agrees_with_float64,
    care_checks.module_is_left_untouched,
    care_checks.singular_values_are_those_of_autograd,
)
"""For every cell."""

CHECKS_OF_MODULES = (
    care_checks.parameters_are_shared,
    care_checks.state_dict_restores_the_cell,
)
"""For modules with parameters."""

CHECKS_OF_OUR_CELLS = (
    cell_checks.parts_have_their_shapes,
    cell_checks.units_are_pointwise,
    cell_checks.pointwise_takes_leading_axes,
    cell_checks.gates_are_between_closed_and_open,
    cell_checks.parametrisation_keeps_its_constraint,
)
"""For cells of gradprobe's own contract, and what torch.nn's become."""


@dataclass(frozen=True)
class Check:
    """One check of one cell: call it; its name is its `str`.

    Parameters
    ----------
    function
        Yields a sentence for each fault.
    subject
        The cell.
    """

    function: Callable[[Subject], Iterator[str]]
    subject: Subject

    @property
    def name(self) -> str:
        """What the check holds, as a name."""
        return self.function.__name__

    def faults(self) -> list[str]:
        """Return a sentence for each fault; an error that the cell raises is one."""
        try:
            with isolated(self.subject.model.device):
                return list(self.function(self.subject))
        except Exception as error:
            return [f"raised {type(error).__name__}: {error}"]

    def __call__(self) -> None:
        """Raise `CellContractError` if the cell fails this check."""
        _raise(self.subject, {self.name: self.faults()}, 1)

    def __str__(self) -> str:
        return self.name


def check_cell(
    cell: Callable[..., object] | Cell,
    inputs: Tensor | None = None,
    state: object = None,
    *,
    generator: torch.Generator | None = None,
    **options: Any,
) -> None:
    """Check that `cell` keeps the contract that the probes rely on.

    The step keeps the state's structure, is a function of its arguments, and treats the sequences
    of a batch alike; its Jacobian is that of float64 autograd and of finite differences, as an
    operator, its adjoint and a matrix; the unrolled pass and its gradient are those of a loop over
    steps; the parameters are shared, and with buffers, gradients, modes, hooks and random numbers
    left as they were; a saved state_dict restores the Jacobian; the singular values are those of a
    dense SVD.  A cell of `gradprobe.models.Cell` is besides held to that contract.

    Parameters
    ----------
    cell
        A `gradprobe.models.Cell`, a model of `gradprobe.models.build`, or anything that
        `gradprobe.adapt` takes.  It is not changed.
    inputs
        Inputs to check it at, shape (T, B, …), or (B, T, …) if it is ``batch_first``; the first
        few steps of the first few sequences are looked at.  Drawn from a normal distribution if
        not given; needed if the cell does not tell its ``input_size``.
    state
        s_0, shape (B, S) or in the structure of the cell; drawn near zero if not given.
    generator
        Source of what is drawn; a new one with seed 0 if not given.
    **options
        The options of `gradprobe.adapt`.

    Notes
    -----
    A surrogate gradient (of a spike, or straight through a rounding) is not the derivative of the
    step, and fails `step_jacobian_is_a_finite_difference`: leave that check out of `checks_of`.

    Raises
    ------
    CellContractError
        The cell fails a check; the message lists all that it fails, by name, with what was
        expected, what was got and what to do.
    ArgumentError, UnsupportedModelError
        As `gradprobe.adapt` raises them: the cell cannot be made a model at all.

    Examples
    --------
    >>> import torch
    >>> check_cell(torch.nn.GRUCell(2, 3))
    >>> forgets = lambda x, h: (0.5 * h).detach()
    >>> check_cell(forgets, torch.zeros(5, 3, 2), state_size=2)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    gradprobe.errors.CellContractError: <lambda> fails ... of 15 checks of its contract:
    - step_is_differentiable: the new state must depend on the old one by ...
    """
    hold(checks_of(cell, inputs, state, generator=generator, **options))


def hold(checks: Sequence[Check]) -> None:
    """Call checks of one cell, and raise a single error that lists all faults.

    Parameters
    ----------
    checks
        Out of `checks_of`.

    Raises
    ------
    CellContractError
        The cell fails one of them.

    Examples
    --------
    >>> import torch
    >>> rounds = "step_jacobian_is_a_finite_difference"  # what surrogate gradients fail
    >>> hold([check for check in checks_of(torch.nn.GRUCell(2, 3)) if check.name != rounds])
    """
    _raise(checks[0].subject, {check.name: check.faults() for check in checks}, len(checks))


def checks_of(
    cell: Callable[..., object] | Cell,
    inputs: Tensor | None = None,
    state: object = None,
    *,
    generator: torch.Generator | None = None,
    **options: Any,
) -> list[Check]:
    """Return the checks of `check_cell`, each to be called on its own, for parametrised tests.

    Examples
    --------
    >>> import pytest
    >>> import torch
    >>> @pytest.mark.parametrize("check", checks_of(torch.nn.LSTMCell(2, 3)), ids=str)
    ... def test_my_cell(check):
    ...     check()
    """
    subject = subject_of(cell, inputs, state, generator, options)
    functions = CHECKS
    if isinstance(cell, nn.Module) and any(True for _ in subject.model.parameters()):
        functions += CHECKS_OF_MODULES
        if torch.cuda.is_available():
            functions += (care_checks.accelerator_agrees_with_the_processor,)
    if isinstance(subject.model, RecurrentModel):
        functions += CHECKS_OF_OUR_CELLS
    return [Check(function, subject) for function in functions]


def _raise(subject: Subject, faults: dict[str, list[str]], number: int) -> None:
    """Raise one error that lists the faults, each once, with the checks that found it."""
    found: dict[str, list[str]] = {}
    for name, sentences in faults.items():
        for sentence in sentences:
            found.setdefault(sentence, []).append(name)
    if found:
        failed = sum(1 for sentences in faults.values() if sentences)
        lines = [f"- {', '.join(names)}: {sentence}" for sentence, names in found.items()]
        raise CellContractError(
            f"{subject.model.name} fails {failed} of {number} checks of its contract:\n"
            + "\n".join(lines)
        )
