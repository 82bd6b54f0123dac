"""The study files that come along: they load without data, and hold the papers' tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gradprobe import models
from gradprobe.errors import StudyFileError
from gradprobe.listing import shipped_study_files
from gradprobe.models.registry import MODELS
from gradprobe.studies import load_study, run_study
from gradprobe.studies.grid import cells
from gradprobe.studies.settings import settings

if TYPE_CHECKING:
    from pathlib import Path

FILES = {path.stem: path for path in shipped_study_files()}

# As printed in Chang, Chen, Haber, Chi, "AntisymmetricRNN", ICLR 2019, Tables 1 and 2.
TABLE_1 = {
    "LSTM": (97.3, 92.6, 128, 68_000),
    "FC uRNN, 116 units": (92.8, 92.1, 116, 16_000),
    "FC uRNN, 512 units": (96.9, 94.1, 512, 270_000),
    "Soft orthogonal": (94.1, 91.4, 128, 18_000),
    "KRU": (96.4, 94.5, 512, 11_000),
    "AntisymmetricRNN": (98.0, 95.8, 128, 10_000),
    "AntisymmetricRNN with gating": (98.8, 93.1, 128, 10_000),
}
TABLE_2 = {
    "LSTM": (59.7, 11.6, 128, 69_000),
    "Ablation (unstructured matrix)": (54.6, 46.2, 196, 42_000),
    "AntisymmetricRNN": (58.7, 48.3, 256, 36_000),
    "AntisymmetricRNN with gating": (62.2, 54.7, 256, 37_000),
}
FOOTNOTE = {"1": 33.6, "2": 35.6, "4": 39.6, "8": 48.3}


@pytest.fixture
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADPROBE_DATA", str(tmp_path / "empty"))


@pytest.mark.usefixtures("no_data")
@pytest.mark.parametrize("name", FILES)
def test_a_shipped_study_loads_without_data(name: str) -> None:
    study = load_study(FILES[name])
    assert study.name == name
    assert len({cell.hash for cell in cells(study)}) == len(cells(study))


@pytest.mark.parametrize(
    ("name", "tasks", "printed"),
    [
        ("table_1", ("MNIST", "pMNIST"), TABLE_1),
        ("table_2", ("pixel CIFAR-10", "noise-padded CIFAR-10"), TABLE_2),
    ],
)
def test_the_tables_are_the_printed_ones(
    name: str, tasks: tuple[str, str], printed: dict[str, tuple[float, float, int, int]]
) -> None:
    study = load_study(FILES[name])
    found = {(each.model.label, each.task.label): each for each in settings(study)}
    assert {label for label, _ in found} == set(printed)
    for label, (first, second, units, parameters) in printed.items():
        for task, accuracy in zip(tasks, (first, second), strict=True):
            published = found[label, task].published()
            assert published["test_accuracy"] == accuracy
            assert (published["units"], published["parameters"]) == (units, parameters)
            assert published["iterations"] == (10_000 if "noise" in task else 50_000)
            assert found[label, task].model_specification()["hidden_size"] == units


def test_the_footnote_is_the_printed_one() -> None:
    rows = {
        str(each.task.options["last_rows"]): each.published()
        for each in settings(load_study(FILES["table_2"]))
        if "last_rows" in each.task.options
    }
    assert {count: row["test_accuracy"] for count, row in rows.items()} == FOOTNOTE


@pytest.mark.parametrize("name", ["table_1", "table_2"])
def test_numbers_of_parameters_are_the_printed_ones(name: str) -> None:
    study = load_study(FILES[name])
    for setting in settings(study):
        if setting.task is not study.tasks[0]:
            continue
        chosen = setting.model_specification()
        model = models.build(
            chosen["name"],
            input_size=setting.task.build().input_size,
            hidden_size=chosen["hidden_size"],
            **chosen["options"],
        )
        total = model.degrees_of_freedom + 10 * (model.output_size + 1)
        # KRU's 11k are without its biases, FC uRNN's 270k are 274,954.
        assert total == pytest.approx(setting.published()["parameters"], rel=0.08)


def test_every_model_is_asked_whether_its_gradient_predicts_its_accuracy() -> None:
    study = load_study(FILES["digits_accuracy"])
    assert {model.name for model in study.models} == set(MODELS)
    assert "gradient_norm" in study.probes
    assert all(0 in each.protocol().probe_at for each in settings(study))  # type: ignore[union-attr]


@pytest.mark.usefixtures("no_data")
def test_missing_data_are_told_before_anything_is_computed(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError) as caught:
        run_study(load_study(FILES["table_1"]), tmp_path / "results")
    message = str(caught.value)
    assert "tasks[0] (MNIST): " in message
    assert "tasks[1] (pMNIST): " in message
    assert "gradprobe data fetch mnist" in message
    assert list(tmp_path.iterdir()) == []
