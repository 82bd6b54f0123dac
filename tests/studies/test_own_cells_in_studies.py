"""A user's own cells in a study: only by consent, with their source in their identity."""

from __future__ import annotations

import hashlib
import random
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from command_in_process import gradprobe
from own_cells import MYCELLS, PARTS, InThisProcess

from gradprobe import gate, models, studies
from gradprobe.errors import ArgumentError, StudyFileError
from gradprobe.models.cell_files import CellFile, read_cell_files, sources_of
from gradprobe.models.importing import importable, imported
from gradprobe.studies import running
from gradprobe.studies.cell import compute, rehearse
from gradprobe.studies.grid import cells
from gradprobe.studies.own_cells import with_cell_files
from gradprobe.studies.own_rehearsal import check_contract
from gradprobe.studies.reading import parse_study
from gradprobe.studies.workplace import Workplace

if TYPE_CHECKING:
    from gradprobe.studies.schema import Study
    from gradprobe.studies.store import StudyResults

STUDY = """\
name = "own"
question = "Does it learn what the vanilla network learns?"

[[tasks]]
name = "digits_rows"

[grid]
seeds = [0, 1]
sequences = 1

[training]
optimizer = "adam"
learning_rate = 0.01
batch_size = 20
iterations = 12
validate_every = 6
record_every = 3
probe_at = [0, "end"]
dtype = "float64"

[[models]]
label = "Plain"
name = "mycells:Plain"
hidden_size = 10
only = ["digits_rows"]

[[models]]
label = "Ours"
name = "mycells:Ours"
hidden_size = 10

[[models]]
label = "vanilla"
name = "vanilla"
hidden_size = 10

[[models]]
label = "Stumbling"
name = "mycells:Stumbling"
hidden_size = 10

[probes.gradient_norm]
[probes.singular_values]
"""


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return written(tmp_path)


def written(folder: Path, mycells: str = MYCELLS) -> list[Path]:
    files = {folder / "mycells.py": mycells, folder / "parts.py": PARTS}
    for path, text in files.items():
        path.write_text(text)
    return list(files)


def own_study(text: str = STUDY) -> Study:
    return parse_study(text, "own.toml")


def one_model(name: str, options: str = "", *, training: bool = False) -> Study:
    """Return a study of one model, which is measured at initialisation if it is not trained."""
    head, _, rest = STUDY.partition("[[models]]")
    if not training:
        head = head.partition("[training]")[0]
    model = f'label = "Mine"\nname = "{name}"\nhidden_size = 10\n{options}\n'
    return own_study(f"{head}[[models]]\n{model}{rest[rest.index('[probes') :]}")


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

    def values(self, model: str, quantity: str) -> np.ndarray[Any, Any]:
        table = self.results.table.query("model == @model and quantity == @quantity")
        assert len(table) > 1
        return table["value"].to_numpy()


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
        got, expected = done.values(model, quantity), done.values("vanilla", quantity)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12, err_msg=quantity)
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


def test_what_is_imported_is_what_was_read_and_it_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "mycells.py"
    path.write_text("count = 0\ndef Cell(): pass\n")
    files = read_cell_files([path])
    path.write_text("raise SystemExit")
    mine = type(sys)("mycells")
    sys.modules["mycells"] = mine
    try:
        source = sources_of("mycells", files)
        with importable(files):
            first = imported("mycells:Cell", source)
            assert sys.modules["mycells"].__file__ == "mycells.py"
        with importable(files):
            assert imported("mycells:Cell", source) is not first
        assert sys.modules["mycells"] is mine
    finally:
        del sys.modules["mycells"]
    with pytest.raises(ArgumentError, match="is not given here"):
        imported("mycells:Cell", source)
    with importable(files), pytest.raises(ArgumentError, match="is not given here"):
        imported("mycells:Cell", {"mycells.py": "0" * 64})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("missing.py", None, "missing.py: cannot be read: No such file or directory"),
        ("mycells.txt", "", "is Python and ends in .py"),
        ("my-cells.py", "", "cannot be imported under this name"),
        ("random.py", "", "is called like the installed module 'random'"),
        ("numpy.py", "", "is called like the installed module 'numpy'"),
        ("mycells.py", "x = 1\ndef f(:\n", "mycells.py: line 2: is not valid Python"),
        ("mycells.py", "x = '\0'", "mycells.py: .*not valid Python"),
        ("mycells.py", "import parts", r"imports parts, .* give that one too"),
        ("mycells.py", "import package.inner", "imports package, which is a folder beside it"),
    ],
)
def test_a_file_that_cannot_be_cells_is_refused_before_anything_runs(
    tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    (tmp_path / "parts.py").write_text("")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ArgumentError, match=message):
        read_cell_files([tmp_path / name])


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for folder in "ab":
        (tmp_path / folder / "mycells.py").write_text("")
    with pytest.raises(ArgumentError, match="are both imported as mycells"):
        read_cell_files([tmp_path / "a" / "mycells.py", tmp_path / "b" / "mycells.py"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mycells.py:Plain", "did you mean 'mycells:Plain'?"),
        ("mycells:", "a cell of your own is named MODULE:CELL"),
        (":Plain", "a cell of your own is named MODULE:CELL"),
        ("os.path:join", "a cell of your own is named MODULE:CELL"),
    ],
)
def test_a_malformed_name_is_a_mistake_of_the_study_file(name: str, message: str) -> None:
    with pytest.raises(StudyFileError) as caught:
        one_model(name)
    assert message in str(caught.value)
    assert "models[0].name (Mine)" in str(caught.value)


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


def test_every_command_that_computes_takes_cells(tmp_path: Path, paths: list[Path]) -> None:
    (tmp_path / "own.toml").write_text(one_model("mycells:Plain").text)
    given = [part for path in paths for part in ("--cells", str(path))]
    planned = gradprobe("run", str(tmp_path / "own.toml"), "--dry-run", *given)
    assert planned.exit_code == 0, planned.stderr
    assert "own: 2 cells = 1 model × 1 task × 2 seeds" in planned.stdout
    assert "about" in planned.stdout
    tuned = gradprobe("tune", str(tmp_path / "own.toml"), *given)
    assert "a ranking needs" in tuned.stderr
