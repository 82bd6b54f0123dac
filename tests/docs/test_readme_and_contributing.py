"""The README has the shape that CI relies on; what CONTRIBUTING adds to gradprobe works there."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from documented_code import blocks

from gradprobe import models, probes, tasks
from gradprobe.models.registry import MODELS
from gradprobe.probes.registry import PROBES
from gradprobe.tasks.registry import TASKS

if TYPE_CHECKING:
    import pytest


def module_with(text: str, name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make the block of CONTRIBUTING that holds `text` importable, as a new file would be."""
    [code] = (block.text for block in blocks("CONTRIBUTING.md") if text in block.text)
    module = types.ModuleType(name)
    exec(code, module.__dict__)  # noqa: S102 - the document's own example
    monkeypatch.setitem(sys.modules, name, module)
    return name


def test_the_first_two_blocks_of_the_readme_are_the_two_commands() -> None:
    first, second, *_ = blocks("README.md")
    assert first.language == second.language == "sh"
    assert first.text.count("\n") == second.text.count("\n") == 1
    assert "gradprobe run studies/gradient_decay.toml" in first.text
    assert "pytest" in second.text


def test_the_readme_s_example_tells_the_two_models_apart(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = next(block.text for block in blocks("README.md") if block.language == "python")
    torch.manual_seed(0)
    exec(code, {})  # noqa: S102 - the document's own example
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == ["antisymmetric", "torch.nn.LSTM"]
    assert abs(float(lines[0][1])) < 1.0
    assert float(lines[1][1]) < -100.0
    assert all(line[2] == "True" for line in lines)


def test_the_model_of_contributing_is_built_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    name = module_with("class Leaky", "gradprobe_example_leaky", monkeypatch)
    monkeypatch.setitem(MODELS, "leaky", f"{name}:Leaky")
    model = models.build("leaky", input_size=2, hidden_size=5, leak=0.2, dtype=torch.float64)
    table = probes.probe(model, torch.zeros(30, 1, 2), lengths=[30])
    assert table["resolved"].all()


def test_the_cell_of_one_s_own_of_contributing_passes_each_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = module_with("class Highway", "gradprobe_example_highway", monkeypatch)
    [mark] = sys.modules[name].test_highway.pytestmark
    for check in mark.args[1]:
        sys.modules[name].test_highway(check)
    assert len(mark.args[1]) == len({str(check) for check in mark.args[1]}) > 15


def test_the_probe_of_contributing_measures_what_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = module_with("def log_determinant", "gradprobe_example_probe", monkeypatch)
    monkeypatch.setitem(PROBES, "log_determinant", f"{name}:log_determinant")
    model = models.build("gru", input_size=2, hidden_size=5, dtype=torch.float64)
    inputs = torch.ones(4, 3, 2, dtype=torch.float64)
    table = probes.probe(model, inputs, ["log_determinant"], [2, 4])
    expected: list[Any] = []
    for t in (2, 4):
        jacobian = probes.dense_reference.end_to_end_jacobian(model, inputs[:t], start=t - 1)
        expected.extend(np.linalg.slogdet(jacobian.numpy()).logabsdet)
    np.testing.assert_allclose(table["value"], expected, rtol=1e-12)


def test_the_task_of_contributing_is_built_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    name = module_with("class Parity", "gradprobe_example_parity", monkeypatch)
    monkeypatch.setitem(TASKS, "parity", f"{name}:Parity")
    task = tasks.build("parity", length=30)
    inputs, targets = task.draw(5, torch.Generator().manual_seed(0))
    assert inputs.shape == (30, 5, 1)
    assert torch.equal(inputs.sum((0, 2)) % 2, targets.double())
