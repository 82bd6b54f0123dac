"""The page of a study that trains, and of one that follows trajectories."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from html_page import Page

from gradprobe import frame
from gradprobe.reports import build_report
from gradprobe.reports.example import ExampleCell, ExampleResults, ExampleStudy
from gradprobe.reports.example_trainings import (
    TASKS,
    example_dynamics,
    example_moduli,
    example_trainings,
)

HOSTILE = ["<script>alert(1)</script>", "\"' onload=alert(1) x='", "{{ 7 * 7 }} {% raw %}"]


@pytest.fixture(scope="module")
def results() -> ExampleResults:
    return example_trainings(seeds=3)


@pytest.fixture(scope="module")
def page(results: ExampleResults) -> Page:
    return Page(build_report(results))


def accuracies(results: ExampleResults, model: str, task: str) -> np.ndarray:
    rows = results.table[(results.table["model"] == model) & (results.table["task"] == task)]
    return 100 * rows[rows["quantity"] == "test_accuracy"]["value"].to_numpy()


@pytest.fixture(scope="module")
def of_moduli() -> str:
    return build_report(example_moduli(seeds=1))


@pytest.fixture(scope="module")
def of_dynamics() -> str:
    return build_report(example_dynamics(seeds=16))


@pytest.mark.parametrize("kind", ["trainings", "moduli", "dynamics"])
def test_the_page_holds_together(kind: str, page: Page, of_moduli: str, of_dynamics: str) -> None:
    page = {"trainings": page, "moduli": Page(of_moduli), "dynamics": Page(of_dynamics)}[kind]
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links} <= set(page.ids)
    for name, value in page.attributes:
        if name == "aria-labelledby":
            assert set((value or "").split()) <= set(page.ids)
    drawings = page.attributes.count(("role", "img"))
    assert drawings == page.tags["desc"] == page.tags["title"] - 1 > 0
    assert page.tags["script"] == 1
    assert not re.search(r"\b(nan|inf|none|<na>)\b", page.text(), flags=re.IGNORECASE)


def test_the_lead_names_the_best_of_each_task(results: ExampleResults, page: Page) -> None:
    best = np.median(accuracies(results, "AntisymmetricRNN with gating", TASKS[1]))
    assert (
        f"On {TASKS[1]}, AntisymmetricRNN with gating is the most accurate: {best:.1f} %, "
        f"{54.7 - best:.1f} points below the published 54.7 %." in page.text("answer")
    )


def test_each_model_is_told_with_its_spread_and_budget(results: ExampleResults, page: Page) -> None:
    values = accuracies(results, "LSTM", TASKS[0])
    low, mid, high = values.min(), np.median(values), values.max()
    assert (
        f"LSTM reaches {mid:.1f} % ({low:.1f} … {high:.1f} % over 3 seeds) after 1,000 of the "
        f"published 50,000 iterations, {97.3 - mid:.1f} points below the published 97.3 %."
        in page.text("answer")
    )


def test_what_was_not_learned_and_what_diverged_is_said(page: Page) -> None:
    answer, table = page.text("answer"), page.text("accuracy")
    assert "LSTM and Vanilla RNN on noise-padded CIFAR-10 (at most 10.6 % by chance)" in answer
    assert "1 of 3 trainings of Ablation on pixel MNIST" in answer
    assert "1 of 3 seeds diverged" in table
    assert "not beyond chance" in table
    assert "Every row is below the full budget, at 2 to 10 % of the published" in answer


def test_the_table_stands_beside_what_is_published(results: ExampleResults, page: Page) -> None:
    table = page.text("accuracy")
    mid = np.median(accuracies(results, "AntisymmetricRNN", TASKS[0]))
    for part in (
        f"{mid:.1f} %",
        "98.0 %",
        "Table 1",
        f"−{98 - mid:.1f}",
        "of 50,000",
        "below the full budget",
        "9,738",
        "published 10,000",
        "diffusion 0.01; adagrad, learning_rate 0.1, batch_size 128",
        "Data: pixel MNIST of nobody: made up",
        "120 s",
    ):
        assert part in table


def test_where_nothing_is_published_nothing_is_compared(results: ExampleResults) -> None:
    cells = [replace(cell, published={}) for cell in results.cells]
    table = Page(build_report(replace(results, cells=cells))).text("accuracy")
    assert "published" not in table
    assert "difference" not in table
    assert "test accuracy iterations seeds" in " ".join(table.split())


def test_curves_and_relation_are_there_for_each_task(page: Page) -> None:
    text = page.text()
    for number in (1, 2):
        assert f"learning-{number}" in page.ids
        assert f"survival-{number}" in page.ids
    assert "Spearman’s rank correlation of accuracy with −|log gain|: on pixel MNIST" in text
    assert "Medians at the last iteration: LSTM" in text


def test_gradients_of_each_task_have_figures_of_their_own(page: Page) -> None:
    assert "gradient-0-end-to-end-0-title" in page.ids
    assert "gradient-1-end-to-end-0-title" in page.ids


def test_training_rows_alone_are_enough() -> None:
    page = Page(build_report(example_trainings(models=1, seeds=1, gradients=False)))
    assert {"accuracy", "learning", "provenance"} <= set(page.ids)
    assert not {"summary", "survival", "gradient", "unresolved", "spectrum"} & set(page.ids)
    assert "On pixel MNIST, LSTM reaches" in page.text("answer")


def test_a_study_in_which_everything_diverged_is_a_page() -> None:
    results = example_trainings(models=4, seeds=1, tasks=TASKS[:1], gradients=False)
    mine = results.table[results.table["model"] == "Ablation"]
    page = Page(build_report(replace(results, table=mine, cells=results.cells[3:])))
    assert "On pixel MNIST, no training came to its end." in page.text("answer")
    assert "Ablation diverged after 500 of the published 50,000 iterations." in page.text("answer")
    assert "diverged" in page.text("accuracy")


def test_errors_are_no_percentages() -> None:
    at = np.array([100, 200])
    rows = [
        frame.rows(iteration=at, quantity="validation_mean_squared_error", value=[0.1, 0.002]),
        frame.rows(iteration=at, quantity="train_loss", value=[0.1, 0.003]),
        frame.rows(iteration=200, quantity="test_mean_squared_error", value=0.00213),
    ]
    table = frame.concatenate(rows, probe="training", model="GRU", task="adding", seed=0)
    cell = ExampleCell("GRU", "adding", 0, published={"test_mean_squared_error": 0.001})
    page = Page(build_report(ExampleResults(ExampleStudy(), table, [cell])))
    assert "On adding, GRU reaches 0.0021, against the published 0.001." in page.text("answer")
    assert "test error" in page.text("accuracy")
    assert "%" not in page.text("accuracy").partition("On the test set")[0]


def test_names_and_provenance_are_escaped() -> None:
    results = example_trainings(models=3, labels=HOSTILE, tasks=["<i>t</i>"], seeds=1)
    cells = [
        replace(
            cell,
            provenance={"data": "<u>d</u>"},
            published={**cell.published, "source": "<s>s</s>"},
            specification={"model": {"options": {"<em>o</em>": "<em>v</em>"}}, "training": {}},
        )
        for cell in results.cells
    ]
    text = build_report(replace(results, cells=cells))
    page = Page(text)
    assert page.tags["script"] == 1
    assert not {"u", "s", "em"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    for part in (*HOSTILE, "<i>t</i>", "<u>d</u>", "<s>s</s>", "<em>o</em> <em>v</em>"):
        assert part in page.text()


def test_equal_results_give_equal_pages() -> None:
    few = [example_trainings(models=1, seeds=1, tasks=["t"]) for _ in range(2)]
    first, second = (build_report(results) for results in few)
    assert first == second
    first, second = (build_report(example_dynamics(seeds=1)) for _ in range(2))
    assert first == second


def test_models_that_did_not_learn_are_marked_among_the_moduli(of_moduli: str) -> None:
    assert re.search(r"<text[^>]*>✗ LSTM</text>", of_moduli)
    page = Page(of_moduli)
    assert "Crosses are models that did not learn" in page.text("moduli")
    assert "summary" not in page.ids  # nothing but eigenvalues: no verdict on gradients
    assert "unresolved" in page.ids


def test_trajectories_are_told_task_by_task(of_dynamics: str) -> None:
    page = Page(of_dynamics)
    text = page.text("answer")
    assert "Feedback, W₀ moves away from the origin: after 50 steps, it is" in text
    assert "over 3 trajectories, the same at every seed" in text
    assert "Vanilla, random W goes either way" in text
    assert "Vanilla, random W at 16 seeds" in page.text("portraits")
    assert "Feedback, W₀ at 16 seeds" not in page.text("portraits")
    assert not {"summary", "unresolved"} & set(page.ids)
