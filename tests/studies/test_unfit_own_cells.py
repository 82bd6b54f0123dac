"""Cells of one's own that cannot be studied, each told by its file and name, and those that can."""

from __future__ import annotations

import random
import re
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from command_in_process import gradprobe
from own_cells import MYCELLS, STUDY, InThisProcess, one_model, own_study

from gradprobe import studies
from gradprobe.errors import StudyFileError
from gradprobe.models.importing import importable
from gradprobe.studies import running
from gradprobe.studies.cell import compute, rehearse
from gradprobe.studies.grid import cells
from gradprobe.studies.own_cells import with_cell_files
from gradprobe.studies.own_rehearsal import check_contract
from gradprobe.studies.workplace import Workplace

if TYPE_CHECKING:
    from pathlib import Path


BROKEN = """\
import random

import numpy as np
import torch


class Good(torch.nn.Module):
    def __init__(self, input_size, hidden_size, leak=0.5, *, depth=1):
        super().__init__()
        if leak > 1:
            raise ValueError("leak must be at most 1")
        self.linear = torch.nn.Linear(input_size + hidden_size, hidden_size)
        self.leak = leak

    def forward(self, x, h):
        return torch.lerp(h, self.linear(torch.cat((x, h), -1)).tanh(), self.leak)


class Short(Good):
    def forward(self, x, h):
        return super().forward(x, h)[:, 1:]


class Forgets(Good):
    def forward(self, x, h):
        return super().forward(x, h.detach())


class Dropout(Good):
    def forward(self, x, h):
        return torch.nn.functional.dropout(super().forward(x, h), 0.5, self.training)


class Single(Good):
    def forward(self, x, h):
        return super().forward(x.float(), h.float())


class Unseeded(Good):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        drawn = np.random.default_rng().normal(size=self.linear.bias.shape)
        self.linear.bias = torch.nn.Parameter(torch.from_numpy(drawn))


class Seeded(Good):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        with torch.no_grad():
            self.linear.bias.copy_(torch.from_numpy(np.random.randn(hidden_size)))
            self.linear.bias[0] = random.random()


class Pair(Good):
    def forward(self, x, state):
        h, c = state
        return super().forward(x, h), c


def nothing(input_size, hidden_size):
    return None


def swapped(hidden_size):
    return Good(1, hidden_size)


answer = 42
"""


def mistake(tmp_path: Path, name: str, options: str = "", text: str = BROKEN, **how: Any) -> str:
    """Return what a rehearsal says of one model, without another process."""
    path = tmp_path / "broken.py"
    path.write_text(text)
    study = with_cell_files(one_model(name, options, **how), [path])
    specification = cells(study)[0].specification
    with importable(study.cell_files):
        return rehearse(specification, with_probes=False).mistakes.get("model", "")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("Godo", "", "broken.py has no 'Godo'; it has: .*Short.*; did you mean 'Good'?"),
        ("answer", "", "broken.py: broken:answer must be a class, or a function .*, got int"),
        ("nothing", "", r"broken.py: nothing must make a cell .*, got NoneType"),
        ("swapped", "", r"must take the sizes first, swapped\(input_size, hidden_size, \.\.\.\)"),
        ("Good", "options.lek = 0.1", "broken.py: Good has no option 'lek'; .*mean 'leak'?"),
        ("Good", "options.leak = 2", r"Good\(8, 10, leak=2\) raised ValueError: leak must be at "),
        ("Good", "options.leak = 2", r"\(broken.py, line 11\)"),
        ("Good", "num_layers = 2", "Good makes a single layer, got num_layers = 2"),
        ("Short", "", r"Short must return the new state, \(B, 10\), .*, got \(1, 9\)"),
        ("Pair", "", r"raised ValueError: not enough values .*adapt\(cell, state_size"),
        ("Forgets", "", "does not depend on the old one by differentiable operations"),
        ("Dropout", "", "draws random numbers"),
        ("Unseeded", "", r"must draw linear\.bias from the seed, but two constructions"),
    ],
)
def test_a_cell_that_cannot_be_studied_is_told_by_file_and_name(
    tmp_path: Path, name: str, options: str, message: str
) -> None:
    told = mistake(tmp_path, f"broken:{name}", options)
    assert re.search(message.replace("?", r"\?"), told), told
    assert told.startswith("broken.py")


def test_the_command_probe_takes_the_state_s_size_from_the_call_as_studies_do(
    tmp_path: Path,
) -> None:
    path = tmp_path / "probed_cells.py"
    path.write_text(BROKEN)
    call = ["--input-size", "2", "--hidden-size", "4", "--length", "5"]
    try:
        done, refused = (gradprobe("probe", f"{path}:{name}", *call) for name in ("Good", "Short"))
    finally:
        sys.modules.pop("probed_cells", None)  # the command leaves it imported
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("Good: 4 state entries, 4 of them hidden")
    assert "Short must return the new state, (B, 4)" in refused.stderr


@pytest.mark.parametrize("name", ["Good", "Seeded"])
def test_a_sound_cell_is_let_through(tmp_path: Path, name: str) -> None:
    assert mistake(tmp_path, f"broken:{name}") == ""


def test_a_cell_in_single_precision_is_trained_and_measured_in_it(tmp_path: Path) -> None:
    text = STUDY.replace('dtype = "float64"\n', "")
    path = tmp_path / "broken.py"
    path.write_text(BROKEN)
    head, _, rest = text.partition("[[models]]")
    model = 'label = "Mine"\nname = "broken:Single"\nhidden_size = 4\n'
    study = own_study(f"{head}[[models]]\n{model}{rest[rest.index('[probes') :]}")
    bound = with_cell_files(study, [path])
    with importable(bound.cell_files):
        computed = compute(cells(bound)[0].specification, Workplace(tmp_path / "c" / "a.pt"))
    assert computed is not None
    assert set(computed.table["dtype"].dropna()) == {"float32"}


def test_a_file_that_raises_is_told_with_its_line(tmp_path: Path) -> None:
    told = mistake(tmp_path, "broken:Good", text="import torch\nraise OSError('no weights')\n")
    assert told == "broken.py: line 2: raised OSError: no weights when it was imported"
    assert "SystemExit" in mistake(tmp_path, "broken:Good", text="raise SystemExit\n")
    absent = mistake(tmp_path, "broken:Good", text="import not_installed_anywhere\n")
    assert "No module named 'not_installed_anywhere'" in absent


def test_a_construction_leaves_the_global_generators_as_they_were(tmp_path: Path) -> None:
    before = torch.get_rng_state(), random.getstate(), np.random.get_state(legacy=True)
    assert mistake(tmp_path, "broken:Seeded") == ""
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()
    assert str(before[2]) == str(np.random.get_state(legacy=True))
    assert torch.get_default_dtype() == torch.float32


MIXING = """\
from mycells_of_a_friend import Ours


class Mixing(Ours):
    def pointwise(self, state, recurrent, drive, unit_parameters):
        return super().pointwise(state, recurrent, drive, unit_parameters).roll(1, -1)
"""


def test_a_cell_that_breaks_its_contract_is_refused_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    friend = tmp_path / "mycells_of_a_friend.py"
    friend.write_text(MYCELLS.replace("from parts import affine\n", ""))
    path = tmp_path / "mixing.py"
    path.write_text(MIXING)
    monkeypatch.setattr(running, "open_engine", lambda *_: InThisProcess())
    study = one_model("mixing:Mixing")
    with pytest.raises(StudyFileError) as caught:
        studies.run_study(study, tmp_path / "results", cells=[path, friend])
    told = str(caught.value)
    assert "models[0] (Mine): mixing.py: Mixing fails" in told
    assert "units_are_pointwise" in told
    assert not (tmp_path / "results").exists()
    swept = one_model("mixing:Absent", "sweep.num_layers = [1, 2]")
    with pytest.raises(
        StudyFileError, match=r"^own\.toml: line 11: models\[0\] .* has no 'Absent'"
    ):
        studies.run_study(swept, tmp_path / "results", cells=[path, friend])
    bound = with_cell_files(one_model("mycells_of_a_friend:Ours"), [friend])
    with importable(bound.cell_files):
        sound = check_contract(cells(bound)[0].specification, with_probes=False)
    assert sound.mistakes == {}
