"""How a model is trained: what a study file says, and a cell's specification holds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class TrainingProtocol(BaseModel):
    """The optimiser, its budget, and when to validate, record and probe.

    Examples
    --------
    >>> TrainingProtocol().batch_size
    128
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    optimizer: Literal["sgd", "adagrad", "adam", "rmsprop"] = "adagrad"
    learning_rate: float = 0.1
    momentum: float = 0.0
    batch_size: int = 128
    iterations: int = 50000
    gradient_clipping: float | None = None
    weight_decay: float = 0.0
    penalty_weight: float = 0.0
    validate_every: int = 500
    record_every: int = 100
    probe_at: Annotated[tuple[int | Literal["end"], ...], Field(strict=False)] = (0,)
    dtype: Literal["float64", "float32"] = "float32"
