"""A user's own cells in a study: only by consent, with their source in their identity."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from command_in_process import gradprobe
from own_cells import MYCELLS, PARTS, STUDY, one_model, own_study, written

from gradprobe import gate, models, studies
from gradprobe.errors import StudyFileError
from gradprobe.models.cell_files import CellFile, sources_of
from gradprobe.models.importing import importable
from gradprobe.studies.cell import compute
from gradprobe.studies.grid import cells
from gradprobe.studies.own_cells import with_cell_files
from gradprobe.studies.workplace import Workplace

if TYPE_CHECKING:
    import pandas as pd

    from gradprobe.studies.store import StudyResults


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return written(tmp_path)


class Done:
    """The study, computed by two workers from files that are gone since."""

    def __init__(self, folder: Path) -> None:
        self.paths = written(folder)
        self.folder = folder / "results"
        self.bound = with_cell_files(own_study(), self.paths)
        self.summary = studies.run_study(own_study(), self.folder, workers=2, cells=self.paths)
        for path in self.paths:
            path.unlink()
        self.results: StudyResults = studies.read_results(self.folder)

    def rows(self, model: str, quantity: str) -> pd.DataFrame:
        table = self.results.table.query("model == @model and quantity == @quantity")
        assert len(table) > 1
        return table


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    return Done(tmp_path_factory.mktemp("own"))


@pytest.mark.parametrize("model", ["Plain", "Ours"])
def test_a_rewritten_vanilla_network_learns_and_measures_as_the_built_in_one(
    done: Done, model: str
) -> None:
    table = done.results.table
    quantities = set(table.query("model == 'vanilla' and probe != 'size'")["quantity"])
    assert {"train_loss", "validation_loss", "test_accuracy", "log_sigma"} <= quantities
    for quantity in quantities:
        got, expected = done.rows(model, quantity), done.rows("vanilla", quantity)
        stated = got["error"].to_numpy() + expected["error"].to_numpy()
        # Weights that differ in their last bits move small singular values by more than 1e-12.
        allowed = 1e-12 + (stated if quantity == "log_sigma" else 0.0)
        assert np.max(allowed) < 1e-9
        off = np.abs(got["value"].to_numpy() - expected["value"].to_numpy())
        assert (off <= allowed).all(), (quantity, off.max())
    methods = set(table.query("model == @model and probe == 'gradient_norm'")["method"])
    assert methods == {"autograd_chunked" if model == "Plain" else "pointwise"}


def test_parameters_are_counted_as_those_of_the_built_in_one(done: Done) -> None:
    sizes = done.results.table.query("probe == 'size' and seed == 0")
    counted = sizes.pivot_table("value", index="quantity", columns="model")
    assert counted["Plain"].to_dict() == counted["vanilla"].to_dict()
    assert counted["Plain"]["stored_parameters"] == 10 * 10 + 10 * 8 + 10


def test_a_cell_that_raises_in_training_fails_alone_with_its_line(done: Done) -> None:
    assert (done.summary.finished, len(done.summary.failures)) == (6, 2)
    failed = [record for record in done.results.cells if record.status == "failed"]
    assert {record.label for record in failed} == {"Stumbling"}
    for record in failed:
        error = str(record.error)
        assert error.endswith("RuntimeError: I trip over batches of 20\n")
        assert 'File "mycells.py", line 26' in error
        assert 'raise RuntimeError("I trip over batches of 20")' in error


def test_two_workers_give_the_table_of_this_process(done: Done) -> None:
    (cell,) = (one for one in cells(done.bound) if (one.label, one.seed) == ("Plain", 1))
    with importable(done.bound.cell_files):
        computed = compute(cell.specification, Workplace(done.folder / "again.pt"))
    assert computed is not None
    stored = done.results.table.query("model == 'Plain' and seed == 1")
    np.testing.assert_array_equal(computed.table["value"], stored["value"])


def test_a_training_goes_on_from_its_checkpoint_to_the_same_table(
    done: Done, tmp_path: Path
) -> None:
    (cell,) = (one for one in cells(done.bound) if (one.label, one.seed) == ("Plain", 0))
    asked = iter([False] * 5 + [True])
    place = tmp_path / "checkpoints" / "plain.pt"
    with importable(done.bound.cell_files):
        assert compute(cell.specification, Workplace(place, lambda: next(asked))) is None
    with importable(done.bound.cell_files):
        computed = compute(cell.specification, Workplace(place))
    assert computed is not None
    stored = done.results.table.query("model == 'Plain' and seed == 0")
    np.testing.assert_array_equal(computed.table["value"], stored["value"])


def test_results_are_read_without_the_files(done: Done, tmp_path: Path) -> None:
    """Nothing is imported by them: the files are gone."""
    status = gradprobe("status", str(done.folder))
    assert "6 of 8 cells finished, 2 failed" in status.stdout
    page = tmp_path / "report.html"
    assert gradprobe("report", str(done.folder), "-o", str(page)).exit_code == 0
    assert gradprobe("export", str(done.folder), "-o", str(tmp_path / "t.csv")).exit_code == 0
    assert gradprobe("schema").exit_code == 0
    assert len(studies.load(done.folder)) == len(done.results.table)
    assert set(studies.parameters(done.folder)["model"]) >= {"Plain"}
    html = page.read_text(encoding="utf-8")
    for text, name in ((MYCELLS, "mycells.py"), (PARTS, "parts.py")):
        assert f"{name}, SHA-256 {hashlib.sha256(text.encode()).hexdigest()}" in html
    assert "code of mycells:Plain" in html
    assert str(done.paths[0]) not in html
    assert "mycells" not in sys.modules


def test_without_consent_nothing_runs_and_the_message_says_what_to_add(
    done: Done, tmp_path: Path
) -> None:
    (tmp_path / "own.toml").write_text(STUDY)
    for options in ([], ["--dry-run"]):
        refused = gradprobe("run", str(tmp_path / "own.toml"), "--results", "r", *options)
        assert refused.exit_code == 2
        assert "line 23: models[0].name (Plain): 'mycells:Plain'" in refused.stderr
        assert "add --cells mycells.py" in refused.stderr
    again = gradprobe("retry", str(done.folder))
    assert again.exit_code == 2
    assert "add --cells mycells.py" in again.stderr
    with pytest.raises(StudyFileError, match=r"cells=\['mycells.py'\]"):
        studies.run_study(own_study(), tmp_path / "r")


def test_a_wrong_file_is_told_beside_the_one_that_is_wanted(tmp_path: Path) -> None:
    other = tmp_path / "mycell.py"
    other.write_text("raise SystemExit")
    with pytest.raises(StudyFileError, match=r"given: mycell\.py; did you mean 'mycell\.py'\?"):
        with_cell_files(own_study(), [other])


def test_another_source_is_another_cell_and_other_models_keep_theirs(
    tmp_path: Path, done: Done
) -> None:
    changed = written(tmp_path, MYCELLS + "# a remark\n")
    before = {(cell.label, cell.seed): cell for cell in cells(done.bound)}
    for cell in cells(with_cell_files(own_study(), changed)):
        same = before[cell.label, cell.seed]
        assert (cell.hash == same.hash) is (cell.label == "vanilla")
        sources = same.specification["model"].get("source", {})
        assert set(sources) == (set() if cell.label == "vanilla" else {"mycells.py", "parts.py"})
    refused = gradprobe(
        "retry", str(done.folder), *(part for path in changed for part in ("--cells", str(path)))
    )
    assert refused.exit_code == 2
    assert "mycells.py has changed since" in refused.stderr


def test_a_helper_is_part_of_what_names_a_cell_only_if_it_is_imported() -> None:
    mine, parts = CellFile("mycells.py", b"import parts"), CellFile("parts.py", b"import torch")
    unused = CellFile("others.py", b"")
    before = sources_of("mycells", [mine, parts, unused])
    assert before == {file.name: file.sha256 for file in (mine, parts)}
    assert before != sources_of("mycells", [mine, CellFile("parts.py", b"import torch "), unused])


def test_a_gate_compares_a_cell_with_its_former_source(done: Done) -> None:
    """What the change does is what is asked."""
    record = done.results.cells[0]
    model = {**record.specification["model"], "source": {"mycells.py": "0" * 64}}
    settings = [
        gate.measured.setting_hash(
            studies.store.MissingCell("", "", "", 0, {**record.specification, "model": each}, {})
        )
        for each in (
            record.specification["model"],
            model,
            {**model, "hidden_size": 11},
        )
    ]
    assert settings[0] == settings[1] != settings[2]


def test_a_computed_weight_is_computed_once_a_pass_and_gets_the_same_gradient() -> None:
    calls = []

    class Orthogonal(torch.nn.Module):
        def forward(self, free: torch.Tensor) -> torch.Tensor:
            calls.append(1)
            rotation: torch.Tensor = torch.linalg.matrix_exp(free - free.T)
            return rotation

    def cell(input_size: int, hidden_size: int) -> torch.nn.Module:
        made = torch.nn.RNNCell(input_size, hidden_size)
        return torch.nn.utils.parametrize.register_parametrization(
            made, "weight_hh", Orthogonal(), unsafe=True
        )

    model = models.build(cell, input_size=2, hidden_size=3, dtype=torch.float64)
    inputs, gradients = torch.randn(6, 4, 2, dtype=torch.float64), []
    for run in (lambda: model(inputs)[1], lambda: _by_steps(model, inputs)):
        calls.clear()
        gradients.append(torch.autograd.grad(run().square().sum(), list(model.parameters())))
        assert len(calls) == (1 if len(gradients) == 1 else len(inputs))
    for once, again in zip(*gradients, strict=True):
        torch.testing.assert_close(once, again, rtol=1e-12, atol=1e-12)


def _by_steps(model: Any, inputs: torch.Tensor) -> torch.Tensor:
    state: torch.Tensor = torch.zeros(inputs.shape[1], model.state_size, dtype=inputs.dtype)
    for now in inputs:
        state = model.step(now, state)
    return state


def test_every_command_that_computes_takes_cells(tmp_path: Path, paths: list[Path]) -> None:
    (tmp_path / "own.toml").write_text(one_model("mycells:Plain").text)
    given = [part for path in paths for part in ("--cells", str(path))]
    planned = gradprobe("run", str(tmp_path / "own.toml"), "--dry-run", *given)
    assert planned.exit_code == 0, planned.stderr
    assert "own: 2 cells = 1 model × 1 task × 2 seeds" in planned.stdout
    assert "about" in planned.stdout
    tuned = gradprobe("tune", str(tmp_path / "own.toml"), *given)
    assert "a ranking needs" in tuned.stderr
