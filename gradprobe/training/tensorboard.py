"""What a monitor records, in TensorBoard (the extra ``tensorboard``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


class Writer(Protocol):
    """What is used of ``torch.utils.tensorboard.SummaryWriter``."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Write one number."""
        ...

    def add_histogram(self, tag: str, values: np.ndarray, global_step: int) -> None:
        """Write a distribution."""
        ...


class TensorBoardWriter:
    """Write each record of a `Monitor`: a histogram of every quantity, and its ends as scalars.

    Tags are ``prefix/probe/quantity/matrix/block/T``, with ``/largest`` and ``/smallest`` for the
    scalars; logarithms are natural.  Unresolved and infinite values are left out; ``/resolved``
    tells which fraction is resolved.

    Parameters
    ----------
    writer
        A ``torch.utils.tensorboard.SummaryWriter``.
    prefix
        What all tags begin with.

    Examples
    --------
    >>> import torch
    >>> import gradprobe as gp
    >>> class Printer:
    ...     def add_scalar(self, tag, scalar_value, global_step):
    ...         print(tag, global_step)
    ...     def add_histogram(self, tag, values, global_step):
    ...         print(tag, values.shape, global_step)
    >>> rnn = torch.nn.GRU(3, 4)
    >>> with gp.Monitor(rnn, probes=[], on_record=TensorBoardWriter(Printer())) as monitor:
    ...     rnn(torch.ones(5, 2, 3))[0].sum().backward()
    ...     monitor.step()
    gradprobe/loss_gradient/log_norm_fro/loss/hidden/5/resolved 0
    gradprobe/loss_gradient/log_norm_fro/loss/hidden/5 (12,) 0
    gradprobe/loss_gradient/log_norm_fro/loss/hidden/5/largest 0
    gradprobe/loss_gradient/log_norm_fro/loss/hidden/5/smallest 0
    """

    def __init__(self, writer: Writer, prefix: str = "gradprobe") -> None:
        self.writer = writer
        self.prefix = prefix

    def __call__(self, iteration: int, table: pd.DataFrame) -> None:
        """Write the rows of one iteration."""
        places = ["probe", "quantity", "matrix", "block", "length"]
        for place, rows in table.groupby(places, dropna=False):
            self._write("/".join([self.prefix, *map(str, place)]), rows, iteration)

    def _write(self, tag: str, rows: pd.DataFrame, iteration: int) -> None:
        resolved = rows["resolved"].fillna(value=True).to_numpy(dtype=bool)
        self.writer.add_scalar(f"{tag}/resolved", float(resolved.mean()), iteration)
        values = rows["value"].to_numpy(dtype=float)[resolved]
        values = values[np.isfinite(values)]
        if values.size > 0:
            self.writer.add_histogram(tag, values, iteration)
            self.writer.add_scalar(f"{tag}/largest", float(values.max()), iteration)
            self.writer.add_scalar(f"{tag}/smallest", float(values.min()), iteration)
