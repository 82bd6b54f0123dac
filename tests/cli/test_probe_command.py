"""`gradprobe probe`: a user's own model, typed by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import gradprobe as gp
from gradprobe import cli

CELLS = """\
import torch
from torch import nn


class MyCell(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.linear = nn.Linear(input_size + hidden_size, hidden_size)

    def forward(self, x, h):
        return h + 0.1 * torch.tanh(self.linear(torch.cat((x, h), dim=-1)))


def build():
    return MyCell(3, 8)


def fails():
    raise RuntimeError("no such thing")


def pair(x, state):
    h, c = state
    return c, 0.5 * h + x


number = 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mycells.py").write_text(CELLS)
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gradprobe", "probe", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ["mycells:build", "--input-size", "3"],
        ["mycells.py:MyCell", "--input-size", "3", "--hidden-size", "8"],
    ],
)
def test_a_model_typed_by_hand_is_probed_in_one_line(folder: Path, arguments: list[str]) -> None:
    done = run(folder, *arguments, "--length", "20", "--length", "40", "-o", "out/table.csv")
    assert done.returncode == 0, done.stderr
    first = done.stdout.splitlines()[0]
    assert first == (
        "MyCell: 8 state entries, 8 of them hidden; inputs (40, 2, 3); "
        "step Jacobians autograd_chunked, float64, seed 0"
    )
    stored = pd.read_csv(folder / "out/table.csv")
    assert set(stored["length"]) == {20, 40}
    assert set(stored["seed"]) == {0}
    largest = stored.query("probe == 'singular_values' and length == 40")["value"].max()
    line = next(x for x in done.stdout.splitlines() if "log_sigma" in x and " 40 " in x)
    assert f"{largest:.6g}" in line.split()


def test_the_table_is_that_of_the_library(folder: Path) -> None:
    inputs = torch.randn(10, 2, 3, generator=torch.Generator().manual_seed(5))
    np.save(folder / "inputs.npy", inputs.numpy())
    cell = torch.nn.GRUCell(3, 4)
    torch.save(cell.state_dict(), folder / "weights.pt")
    arguments = ["torch.nn:GRUCell", "--inputs", "inputs.npy", "--hidden-size", "4"]
    arguments += ["--weights", "weights.pt", "--probe", "singular_values", "-o", "table.parquet"]
    done = run(folder, *arguments)
    assert done.returncode == 0, done.stderr
    stored = pd.read_parquet(folder / "table.parquet")
    expected = gp.probe(cell, inputs, ["singular_values"])
    assert (stored["value"] - expected["value"]).abs().max() < 1e-12


def test_a_function_is_a_cell(folder: Path) -> None:
    arguments = ["mycells:pair", "--input-size", "2", "--length", "6"]
    done = run(folder, *arguments, "--state-size", "2", "--state-size", "2")
    assert done.returncode == 0, done.stderr
    assert "pair: 4 state entries, 2 of them hidden" in done.stdout
    # The state's two halves change places, one of them halved: all σ of six steps are 2^-3.
    line = next(x for x in done.stdout.splitlines() if "log_sigma" in x)
    assert line.split()[5:8] == ["-2.07944"] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mycells", "--input-size", "3"], "a model is named MODULE:FACTORY"),
        (["nowhere:build", "--input-size", "3"], "cannot import 'nowhere' from here"),
        (["nowhere.py:build", "--input-size", "3"], "there is no file nowhere.py"),
        (["mycells:bild", "--input-size", "3"], "mycells has no 'bild'; it has: MyCell, build"),
        (["mycells:number", "--input-size", "3"], "must be a module, a function that makes one"),
        (["mycells:fails", "--input-size", "3"], "fails() raised RuntimeError: no such thing"),
        (["mycells:MyCell", "--input-size", "3"], "MyCell needs arguments: give --hidden-size"),
        (["mycells:build"], "give either --input-size or --inputs"),
        (["mycells:build", "--inputs", "none.npy"], "cannot read inputs from none.npy"),
        (["mycells:build", "--input-size", "3", "-o", "x.xlsx"], "written to a .parquet or .csv"),
        (["mycells:build", "--input-size", "4"], "could not be inferred"),
        (["mycells:build", "--input-size", "3", "--probe", "nothing"], "nothing"),
        (
            ["mycells:build", "--input-size", "3", "--weights", "mycells.py"],
            "cannot load the weights in mycells.py",
        ),
    ],
)
def test_a_wrong_call_is_one_clear_line(
    folder: Path, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "mycells", raising=False)
    done = CliRunner().invoke(cli.app, ["probe", *arguments])
    assert done.exit_code == 2
    assert isinstance(done.exception, SystemExit)  # not an error that nobody caught
    assert message in done.output
