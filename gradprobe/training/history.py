"""The rows that a training has written so far, in a form that a checkpoint can hold."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from gradprobe import frame
from gradprobe.training.checkpoint import bytes_to_tensor, tensor_to_bytes

if TYPE_CHECKING:
    from torch import Tensor


class TrainingHistory:
    """Values of a training by iteration, and the tables of its probes.

    Examples
    --------
    >>> history = TrainingHistory()
    >>> history.add_loss(2.0)
    >>> history.add_loss(1.0)
    >>> history.record_loss(iteration=2)
    >>> history.latest("train_loss")
    1.5
    """

    def __init__(self) -> None:
        self._iterations: list[int] = []
        self._quantities: list[str] = []
        self._values: list[float] = []
        self._losses: list[float] = []
        self._tables: list[Tensor] = []  # Parquet, as a checkpoint keeps them

    @property
    def diverged(self) -> bool:
        """Whether the training ended because something was not finite."""
        return "diverged_at" in self._quantities

    def add(self, iteration: int, quantity: str, value: float) -> None:
        """Keep one value.

        Parameters
        ----------
        iteration
            Updates made so far.
        quantity, value
            What was measured.
        """
        self._iterations.append(iteration)
        self._quantities.append(quantity)
        self._values.append(value)

    def add_loss(self, loss: float) -> None:
        """Keep the loss of one update until the next `record_loss`."""
        self._losses.append(loss)

    def record_loss(self, iteration: int) -> None:
        """Keep the mean of the losses since the last record, and forget them."""
        self.add(iteration, "train_loss", math.fsum(self._losses) / len(self._losses))
        self._losses = []

    def diverge(self, update: int, *, done: int) -> None:
        """Keep that `update` gave something that is not finite, after the losses so far.

        Parameters
        ----------
        update
            Its number, from 1.
        done
            How many updates were made.
        """
        if self._losses:
            self.record_loss(done)
        self.add(update, "diverged_at", float(update))

    def add_table(self, iteration: int, table: pd.DataFrame) -> None:
        """Keep the table of the probes after `iteration` updates."""
        self._tables.append(_encoded(frame.conform(table.assign(iteration=iteration))))

    def latest(self, quantity: str) -> float | None:
        """Return the last value of `quantity`; None if there is none."""
        for name, value in zip(reversed(self._quantities), reversed(self._values), strict=True):
            if name == quantity:
                return value
        return None

    def table(self) -> pd.DataFrame:
        """Return everything as one tidy table: the training's values, then the probes'."""
        own = frame.rows(
            probe="training",
            quantity=np.array(self._quantities, dtype=object),
            iteration=np.array(self._iterations, dtype=np.int64),
            value=np.array(self._values, dtype=np.float64),
            resolved=True,
        )
        return frame.concatenate([own, *map(_decoded, self._tables)])

    def state(self) -> dict[str, Any]:
        """Return numbers, strings and tensors that `restored` makes a history of."""
        return {
            "iterations": list(self._iterations),
            "quantities": list(self._quantities),
            "values": list(self._values),
            "losses": list(self._losses),
            "tables": list(self._tables),
        }

    @classmethod
    def restored(cls, state: dict[str, Any]) -> Self:
        """Return the history whose `state` this is."""
        history = cls()
        history._iterations = list(state["iterations"])
        history._quantities = list(state["quantities"])
        history._values = list(state["values"])
        history._losses = list(state["losses"])
        history._tables = list(state["tables"])
        return history


def _encoded(table: pd.DataFrame) -> Tensor:
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return bytes_to_tensor(buffer.getvalue())


def _decoded(table: Tensor) -> pd.DataFrame:
    return frame.conform(pd.read_parquet(io.BytesIO(tensor_to_bytes(table))))
