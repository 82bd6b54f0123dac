"""How a model is trained: what a study file says, and a cell's specification holds."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

PositiveInteger = Annotated[int, Field(gt=0)]
PositiveNumber = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegativeNumber = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Iteration = Annotated[int, Field(ge=0)]

WITH_MOMENTUM = ("sgd", "rmsprop")


class TrainingProtocol(BaseModel):
    """The optimiser, its budget, and when to validate, record and probe; imports no torch.

    The defaults follow Chang, Chen, Haber and Chi, "AntisymmetricRNN" (ICLR 2019), section 5 and
    Appendix C: batches of 128 over 50,000 iterations, Adagrad or SGD with momentum.

    Attributes
    ----------
    optimizer
        Torch's ``"sgd"``, ``"adagrad"``, ``"adam"`` or ``"rmsprop"``, with torch's other defaults.
    learning_rate
        At its greatest; `schedule` and `warm_up` multiply it.
    momentum
        Of SGD or RMSprop; 0 = none.
    batch_size, iterations
        Examples per iteration, and how often the parameters are updated.
    schedule
        ``"constant"``; ``"cosine"`` or ``"linear"`` decay to 0 at the end of the budget; or
        ``"step"``: times `schedule_factor` every `schedule_every` iterations.
    schedule_every, schedule_factor
        Iterations, and a factor between 0 and 1; of schedule ``"step"`` alone.
    warm_up
        Iterations over which the rate grows linearly at first.
    gradient_clipping
        Greatest Euclidean norm of the gradient of all parameters together; None = any.
    weight_decay
        λ of the penalty λ‖θ‖²/2 that torch's optimisers know.
    penalty_weight
        What a model's soft constraint, `RecurrentModel.penalty`, is multiplied by in the loss.
    validate_every, record_every
        Iterations between evaluations on the whole validation split, and between rows with the mean
        training loss since the row before.
    probe_at
        Iterations after which the probes measure: 0 = at initialisation, ``"end"`` = the last.
    dtype
        Of parameters and arithmetic in training.

    Raises
    ------
    pydantic.ValidationError
        A field has a wrong type or an impossible value, or two do not go together.

    Examples
    --------
    >>> TrainingProtocol().batch_size, TrainingProtocol().iterations
    (128, 50000)
    >>> TrainingProtocol(iterations=300, probe_at=(0, 100, "end")).probed_iterations
    (0, 100, 300)
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    optimizer: Literal["sgd", "adagrad", "adam", "rmsprop"] = "adagrad"
    learning_rate: PositiveNumber = 0.1
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    batch_size: PositiveInteger = 128
    iterations: PositiveInteger = 50_000
    schedule: Literal["constant", "cosine", "linear", "step"] = "constant"
    schedule_every: PositiveInteger | None = None
    schedule_factor: Annotated[float, Field(gt=0, lt=1)] | None = None
    warm_up: Iteration = 0
    gradient_clipping: PositiveNumber | None = None
    weight_decay: NonNegativeNumber = 0.0
    penalty_weight: NonNegativeNumber = 0.0
    validate_every: PositiveInteger = 500
    record_every: PositiveInteger = 100
    probe_at: Annotated[tuple[Iteration | Literal["end"], ...], Field(strict=False)] = (0,)
    dtype: Literal["float64", "float32"] = "float32"

    @property
    def probed_iterations(self) -> tuple[int, ...]:
        """The iterations of `probe_at` as increasing numbers."""
        numbers = {self.iterations if at == "end" else at for at in self.probe_at}
        return tuple(sorted(numbers))

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.momentum and self.optimizer not in WITH_MOMENTUM:
            raise ValueError(
                f"momentum is an option of {' and '.join(WITH_MOMENTUM)}, "
                f"got {self.momentum} with {self.optimizer}"
            )
        steps = (self.schedule_every, self.schedule_factor)
        if any((value is None) == (self.schedule == "step") for value in steps):
            raise ValueError(
                "schedule_every and schedule_factor belong to schedule 'step', which needs both; "
                f"got {steps[0]} and {steps[1]} with schedule {self.schedule!r}"
            )
        if self.warm_up > self.iterations:
            raise ValueError(
                f"warm_up must be at most the {self.iterations} iterations, got {self.warm_up}"
            )
        late = [at for at in self.probed_iterations if at > self.iterations]
        if late:
            raise ValueError(
                f"probe_at must be at most the {self.iterations} iterations, got {late[0]}"
            )
        return self
