"""The cell contract: one matrix product and one pointwise map.

Almost every recurrent cell is

    s_t = φ(s_{t-1}, R h_{t-1}, U x_t + b; θ)

where φ acts unit by unit.  A unit has C components, the hidden value h first (an LSTM's unit also
has its cell value c); R gives G values to each unit (an LSTM's four gates), the input gives K.
Where the values that R multiplies, or those that make up h, are several to a unit (a complex
number's real and imaginary part), the cell says how many.  The drive may be any other function of
the inputs.  A subclass states R, U, b and φ; from these come, once for all cells, the unrolled pass
(`gradprobe.models.unrolled`) and the step Jacobians (`gradprobe.models.step_jacobian`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from gradprobe import checks
from gradprobe.errors import UnsupportedModelError
from gradprobe.models.working_copy import device_of, dtype_of

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models.explicit.rule import PointwiseRule


class LocalDerivatives(NamedTuple):
    """Derivatives of φ: entry [..., i, j, n] is ∂(output i)/∂(argument j) of unit n.

    Attributes
    ----------
    by_state
        Shape (..., C, C, N).
    by_recurrent
        Shape (..., C, G, N): φ′ apart from R.
    by_drive
        Shape (..., C, K, N).
    by_unit_parameters
        Shape (..., C, P, N).
    """

    by_state: Tensor
    by_recurrent: Tensor
    by_drive: Tensor
    by_unit_parameters: Tensor


def unflatten_units(flat: Tensor, terms: int) -> Tensor:
    """Return a view of shape (..., terms, N) of a tensor of shape (..., terms·N).

    Examples
    --------
    >>> import torch
    >>> unflatten_units(torch.zeros(5, 6), 2).shape
    torch.Size([5, 2, 3])
    """
    view: Tensor = flat.unflatten(-1, (terms, -1))
    return view


class Cell(nn.Module, ABC):
    """A recurrent cell, stated as a matrix product and a pointwise map.

    Parameters
    ----------
    input_size
        D, the number of input features.
    hidden_size
        N, the number of units.

    Attributes
    ----------
    components
        C, values that a unit carries from step to step; the state has S = C·N entries, all of the
        first component, then all of the second.
    recurrent_terms
        G, values that the recurrent matrix gives to each unit.
    drive_terms
        K, values that the input gives to each unit.
    recurrent_components
        C_R, how many of the components the recurrent matrix multiplies, laid one after the other.
    first_recurrent_component
        Which component is the first of these; other than 0 in a stage of a `StagedCell` only.
    hidden_components
        C_h, how many of the components make up h, as the layer above and a readout see it: the
        first C_h of them, laid one after the other.
    step_size
        ε of an Euler-type cell h_t = h_{t-1} + ε f(h_{t-1}, x_t); None for every other.

    Raises
    ------
    ArgumentError
        A size is not a positive integer.

    Examples
    --------
    A cell of one's own, with its Jacobians and its unrolled pass, is a few lines:

    >>> import torch
    >>> from gradprobe.models import Initialiser
    >>> class Leaky(Cell):
    ...     def __init__(self, input_size, hidden_size, *, initialiser):
    ...         super().__init__(input_size, hidden_size)
    ...         n, d = hidden_size, input_size
    ...         self.weight = initialiser.normal(n, n, standard_deviation=n**-0.5)
    ...         self.input_weight = initialiser.normal(n, d, standard_deviation=d**-0.5)
    ...
    ...     def recurrent_matrix(self):
    ...         return self.weight
    ...
    ...     def input_matrix(self):
    ...         return self.input_weight
    ...
    ...     def pointwise(self, state, recurrent, drive, unit_parameters):
    ...         return 0.9 * state + 0.1 * torch.tanh(recurrent + drive)
    >>> cell = Leaky(2, 4, initialiser=Initialiser(torch.Generator().manual_seed(0)))
    >>> cell.step(torch.zeros(3, 2), torch.ones(3, 4)).shape
    torch.Size([3, 4])
    """

    components: ClassVar[int] = 1
    recurrent_terms: ClassVar[int] = 1
    drive_terms: ClassVar[int] = 1
    recurrent_components: ClassVar[int] = 1
    first_recurrent_component: ClassVar[int] = 0
    hidden_components: ClassVar[int] = 1
    step_size: float | None = None

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = checks.positive_integer("input_size", input_size)
        self.hidden_size = checks.positive_integer("hidden_size", hidden_size)

    @abstractmethod
    def recurrent_matrix(self) -> Tensor:
        """Return R after its parametrisation, shape (G·N, C_R·N)."""

    def input_matrix(self) -> Tensor:
        """Return U, shape (K·N, D); a cell with a `drive` of its own needs none.

        Raises
        ------
        UnsupportedModelError
            The cell states none.
        """
        raise UnsupportedModelError(
            f"{type(self).__name__} has no input matrix: state input_matrix(), or, for a drive "
            "that is not U x + b, drive() itself"
        )

    def drive_bias(self) -> Tensor | None:
        """Return b, shape (K·N,), or None if the drive has no bias."""
        return None

    def unit_parameters(self) -> Tensor:
        """Return the parameters θ of φ, one row of N for each: shape (P, N); none by default."""
        return torch.empty(0, self.hidden_size, dtype=self.dtype, device=self.device)

    def initial_units(self) -> Tensor:
        """Return s_0 where none is given, shape (C, N); zeros by default.

        A cell with a trainable s_0 makes it here out of its parameters.
        """
        shape = (self.components, self.hidden_size)
        return torch.zeros(shape, dtype=self.dtype, device=self.device)

    @abstractmethod
    def pointwise(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> Tensor:
        """Return φ, the new state; unit n of the result depends on unit n of the arguments only.

        Parameters
        ----------
        state
            s_{t-1}, shape (..., C, N).
        recurrent
            R h_{t-1}, shape (..., G, N); h here stands for the first C_R components.
        drive
            U x_t + b, shape (..., K, N).
        unit_parameters
            θ, shape (P, N).

        Returns
        -------
        Tensor
            s_t, shape (..., C, N).
        """

    def pointwise_rule(self) -> PointwiseRule | None:
        """Return φ with its derivative written out, which trains faster; none by default.

        It belongs to the `pointwise` of the same class: a subclass that overrides `pointwise` alone
        is unrolled by its `local_derivatives` instead.
        """
        return None

    def gates(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> dict[str, Tensor]:
        """Return the values of the gates by name, each of shape (..., N); none by default.

        A gate is a factor between 0, closed, and 1, open, that a unit computes at each step.  The
        arguments are those of `pointwise`.
        """
        return {}

    @property
    def state_size(self) -> int:
        """S = C·N."""
        return self.components * self.hidden_size

    @property
    def output_size(self) -> int:
        """C_h·N, the entries of h as the layer above and a readout see it."""
        return self.hidden_components * self.hidden_size

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the states: that of the cell's first real tensor."""
        return dtype_of(self)

    @property
    def device(self) -> torch.device:
        """Where the cell's tensors are."""
        return device_of(self, torch.device("cpu"))

    @property
    def stored_parameters(self) -> int:
        """The number of real scalars that an optimiser would update."""
        return sum(p.numel() * (2 if p.is_complex() else 1) for p in self.parameters())

    @property
    def degrees_of_freedom(self) -> int:
        """The dimension of the set of functions' parameters, which papers print.

        Fewer than `stored_parameters` where entries are tied by a constraint or redundant.
        """
        return self.stored_parameters

    def constraint_error(self) -> float:
        """Return how far R is from the set that its parametrisation promises; 0 without one.

        The largest absolute entry of the violated identity, for example of WᵀW − I.
        """
        return 0.0

    def penalty(self) -> Tensor:
        """Return the measure of a soft constraint, which training adds to the loss; 0 by default.

        For example ‖WᴴW − I‖²_F; differentiable, without axes.
        """
        return torch.zeros((), dtype=self.dtype, device=self.device)

    def drive(self, inputs: Tensor) -> Tensor:
        """Return U x_t + b for the whole sequence in one product: (..., D) to (..., K, N).

        A cell may put any other function of x_t in its place, which treats leading axes alike.
        """
        flat: Tensor = functional.linear(inputs, self.input_matrix(), self.drive_bias())
        return unflatten_units(flat, self.drive_terms)

    @property
    def has_linear_drive(self) -> bool:
        """Whether the drive is U x + b, and not a function of the cell's own."""
        return type(self).drive is Cell.drive

    def drive_jacobian(self, inputs: Tensor) -> Tensor:
        """Return ∂(drive)/∂x_t at inputs (steps, B, D).

        Returns
        -------
        Tensor
            U, shape (K·N, D); for a `drive` of the cell's own, by automatic differentiation, shape
            (steps, B, K·N, D).
        """
        if self.has_linear_drive:
            return self.input_matrix()
        of_one = torch.func.jacfwd(lambda one: self.drive(one[None])[0].flatten())
        jacobians: Tensor = torch.func.vmap(of_one)(inputs.flatten(0, 1))
        by_step: Tensor = jacobians.unflatten(0, inputs.shape[:2])
        return by_step

    def recurrent_argument(self, units: Tensor) -> Tensor:
        """Return what R multiplies, a view: units (..., C, N) to (..., C_R·N)."""
        multiplied = units.narrow(-2, self.first_recurrent_component, self.recurrent_components)
        view: Tensor = multiplied.flatten(-2)
        return view

    def arguments(
        self, units: Tensor, inputs: Tensor, matrix: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the arguments of `pointwise` at states (..., C, N) and inputs (..., D).

        Parameters
        ----------
        units, inputs
            s_{t-1} and x_t.
        matrix
            R, if it has been computed before.
        """
        matrix = self.recurrent_matrix() if matrix is None else matrix
        product = functional.linear(self.recurrent_argument(units), matrix)
        recurrent = unflatten_units(product, self.recurrent_terms)
        return units, recurrent, self.drive(inputs), self.unit_parameters()

    def stages(self) -> tuple[Cell, ...]:
        """Return the cells of which one step consists: this one, but for a `StagedCell`."""
        return (self,)

    def step(self, inputs: Tensor, state: Tensor) -> Tensor:
        """Return s_t from x_t, shape (B, D), and s_{t-1}, shape (B, S), by plain operations.

        This is the definition that the unrolled pass and the step Jacobians are tested against.
        """
        units = unflatten_units(state, self.components)
        for stage in self.stages():
            units = stage.pointwise(*stage.arguments(units, inputs))
        return units.flatten(-2)

    def local_derivatives(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> LocalDerivatives:
        """Return the derivatives of φ by automatic differentiation, exact to rounding.

        As φ acts unit by unit, the gradient of the sum over units of one output component holds
        that component's derivatives for every unit at once: C reverse passes give everything.
        """
        expanded = unit_parameters.expand(*state.shape[:-2], *unit_parameters.shape)
        with torch.enable_grad():
            arguments = [
                argument.detach().requires_grad_()
                for argument in (state, recurrent, drive, expanded)
            ]
            new = self.pointwise(*arguments)
            rows = [
                torch.autograd.grad(
                    component.sum(), arguments, retain_graph=True, materialize_grads=True
                )
                for component in new.unbind(-2)
            ]
        return LocalDerivatives(*(torch.stack(row, dim=-3) for row in zip(*rows, strict=True)))

    def extra_repr(self) -> str:
        """Return the sizes, for `repr`."""
        return f"input_size={self.input_size}, hidden_size={self.hidden_size}"
