"""The exported tables: they say what the results say, and nothing of what is not there."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

import gradprobe
from gradprobe.reports.example import ExampleCell
from gradprobe.reports.example_trainings import TASKS, example_dynamics, example_trainings
from gradprobe.reports.exporting import accuracy_markdown, accuracy_numbers

SCRIPT = Path(gradprobe.__file__).parents[1] / "reports" / "paper" / "rebuild_paper.py"


@pytest.fixture(scope="module")
def rebuild() -> ModuleType:
    specification = importlib.util.spec_from_file_location("rebuild_paper", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(rebuild: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("paper")
    found = {"table_1": example_trainings(), "dynamics": example_dynamics()}
    rebuild.write_exports(found, path)
    return path


def test_a_row_of_the_csv_holds_all_that_belongs_to_it(folder: Path) -> None:
    rows = pd.read_csv(folder / "table_1.csv")
    table = example_trainings().table
    mine = table[(table["model"] == "AntisymmetricRNN") & (table["task"] == TASKS[0])]
    values = 100 * mine[mine["quantity"] == "test_accuracy"]["value"]
    (row,) = rows[(rows["task"] == TASKS[0]) & (rows["model"] == "AntisymmetricRNN")].to_dict(
        "records"
    )
    assert row["test"] == pytest.approx(values.median(), rel=1e-6)
    assert row["difference"] == pytest.approx(values.median() - 98.0, rel=1e-5)
    assert row["published"] == 98.0
    assert (row["iterations"], row["budget"], bool(row["below_budget"])) == (1000, 50000, True)
    assert (row["seeds"], row["seed_list"], row["seconds"]) == (2, "0, 1", 120.0)
    assert "learning_rate 0.1" in row["hyper_parameters"]
    assert row["data"] == "pixel MNIST of nobody: made up"
    assert rows["diverged"].sum() == 2


def test_every_training_and_every_recorded_value_is_exported(folder: Path) -> None:
    table = example_trainings().table
    assert len(pd.read_csv(folder / "table_1_trainings.csv")) == 20
    curves = pd.read_csv(folder / "table_1_curves.csv")
    rows = table[(table["probe"] == "training") & (table["iteration"] > 0)]
    assert len(curves) == len(rows)
    assert np.allclose(curves["value"], rows["value"], rtol=1e-6)


def test_the_readme_joins_what_is_there_and_names_what_is_not(folder: Path) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    for part in (
        "## table_1: How accurate are these networks?",
        "### pixel MNIST",
        "| AntisymmetricRNN | 88.3 %; 87.9 … 88.6 | 98.0 % | −9.7 | 1,000 of 50,000; below the "
        "full budget | 2 | 9,738 (published 10,000) | 128 | 120 s | diffusion 0.01; adagrad",
        "not beyond chance",
        "Diverged: 1 of 2 trainings of Ablation on pixel MNIST",
        "## table_2\n\nNot computed yet: `gradprobe run studies/table_2.toml`.",
        "## dynamics: Where do the states go?",
        "[table_1.csv](table_1.csv)",
    ):
        assert part in text
    assert not list(folder.glob("dynamics*"))
    assert not list(folder.glob("table_2*"))


def test_names_leave_no_marks_in_markdown() -> None:
    labels = ["a|b", "*c* `d` <i>e</i> [f](g)"]
    text = accuracy_markdown(example_trainings(models=2, labels=labels, tasks=["h\ni"]))
    assert "| a\\|b |" in text
    assert "\\*c\\* \\`d\\` \\<i\\>e\\</i\\> \\[f\\](g)" in text
    assert "<i>" not in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 3
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1


def test_failed_cells_are_named(rebuild: ModuleType, tmp_path: Path) -> None:
    results = example_trainings(models=1)
    failed = ExampleCell("GRU", "pixel MNIST", 3, status="failed", error="out of memory")
    with_failed = replace(results, cells=[*results.cells, failed])
    rebuild.write_exports({"table_1": with_failed}, tmp_path)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "Not in these tables: GRU, pixel MNIST, seed 3 failed: out of memory." in text
    assert "GRU" not in set(accuracy_numbers(with_failed)["model"])


def test_a_study_without_trainings_says_so() -> None:
    assert accuracy_markdown(example_dynamics()) == "No training is finished.\n"
    assert accuracy_numbers(example_dynamics()).empty
