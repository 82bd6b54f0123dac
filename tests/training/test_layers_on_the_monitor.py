"""TensorBoard and Lightning themselves, not stand-ins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.tensorboard import SummaryWriter

import gradprobe as gp
from gradprobe.training import MonitorCallback, TensorBoardWriter


def test_tensorboard_reads_what_was_recorded(tmp_path: Path) -> None:
    rnn = nn.GRU(3, 4).double()
    inputs = torch.randn(6, 2, 3, dtype=torch.float64, generator=torch.Generator())
    with SummaryWriter(str(tmp_path)) as writer:
        on_record = TensorBoardWriter(writer)
        probes = ["singular_values"]
        with gp.Monitor(rnn, probes=probes, every=2, on_record=on_record) as monitor:
            for _ in range(3):
                rnn(inputs)[0][-1].sum().backward()
                monitor.step()
    events = EventAccumulator(str(tmp_path), size_guidance={"histograms": 0}).Reload()
    tag = "gradprobe/singular_values/log_sigma/end_to_end/state/6"
    largest = events.Scalars(f"{tag}/largest")
    assert [event.step for event in largest] == [0, 2]
    recorded = monitor.frame().query("probe == 'singular_values' and iteration == 2")
    assert largest[1].value == pytest.approx(recorded["value"].max(), rel=1e-6)
    assert events.Histograms(tag)[1].histogram_value.num == 8


class Module(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(3, 4, batch_first=True)
        self.readout = nn.Linear(4, 2)
        self.norms: list[float] = []

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        hidden = self.rnn(batch[0])[0]
        return nn.functional.cross_entropy(self.readout(hidden[:, -1]), batch[1])

    def on_after_backward(self) -> None:
        """Keep the gradient that reaches the readout's bias, before it is clipped."""
        if self.readout.bias.grad is not None:
            self.norms.append(float(self.readout.bias.grad.norm()))

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.filterwarnings("ignore::UserWarning:lightning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_lightning_calls_the_monitor_before_it_clips(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(24, 7, 3, generator=generator)
    data = TensorDataset(inputs, torch.randint(2, (24,), generator=generator))
    torch.manual_seed(0)
    module, callback = Module(), MonitorCallback("rnn", probes=["singular_values"], every=2)
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        callbacks=[callback],
        gradient_clip_val=1e-4,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=str(tmp_path),
    )
    weight = module.readout.weight.detach().clone()
    trainer.fit(module, DataLoader(data, batch_size=4))
    assert callback.monitor is not None
    table = callback.monitor.frame()
    assert set(table["iteration"]) == {0, 2, 4}
    assert len(module.rnn._forward_hooks) == 0
    # ∂L/∂h_T = Wᵀ ∂L/∂scores, whose sum over the batch is the gradient of the bias.
    first = table.query("probe == 'loss_gradient' and iteration == 0 and step == 7")["value"]
    largest = float(torch.linalg.matrix_norm(weight, ord=2))
    assert np.exp(first).sum() * largest > 0.01 * module.norms[0]
    assert np.exp(first).min() > 1e-4


def test_neither_is_imported_before_it_is_used() -> None:
    code = (
        "import sys, gradprobe as gp, torch\n"
        "gp.Monitor(torch.nn.GRU(2, 3)).close()\n"
        "from gradprobe.training import TensorBoardWriter\n"
        "sys.exit('lightning' in sys.modules or 'tensorboard' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
