"""Mistakes in what a study file sweeps, and what is said of each."""

from __future__ import annotations

import pytest
from mistakes_in_studies import assert_told
from study_texts import SWEPT_STUDY

MISTAKES = {
    "a swept key that no training has": (
        "training.learning_rate",
        "training.learning_rat",
        "line 17: sweep.training.learning_rat: unknown key; expected one of optimizer, "
        "learning_rate, momentum, batch_size, iterations, schedule, schedule_every, "
        "schedule_factor, warm_up, gradient_clipping, weight_decay, penalty_weight, "
        "validate_every, record_every, probe_at, dtype; did you mean 'learning_rate'?",
    ),
    "a swept key that the study has not": (
        "training.learning_rate",
        "learning_rate",
        "line 17: sweep.learning_rate: unknown key; expected one of training, models, tasks",
    ),
    "one value in place of a list": (
        "[0.1, 1.0]",
        "0.1",
        "line 17: sweep.training.learning_rate: expected a valid list, got 0.1",
    ),
    "a wrong value among those to try": (
        "[0.1, 1.0]",
        "[0.1, -1.0]",
        "line 17: sweep.training.learning_rate[1]: expected greater than 0, got -1.0",
    ),
    "a value of a wrong type among those to try": (
        "[0.1, 1.0]",
        '[0.1, "1"]',
        "line 17: sweep.training.learning_rate[1]: expected a valid number, got '1'",
    ),
    "no value to try": (
        "[1.0, 5.0]",
        "[]",
        "line 25: models[0].sweep.options.forget_bias (LSTM): expected to have at least 1 "
        "item, got []",
    ),
    "a value twice": (
        "[1.0, 5.0]",
        "[1.0, 1.0]",
        "line 25: models[0].sweep.options.forget_bias (LSTM): each value must stand once, "
        "1.0 is repeated",
    ),
    "an option without a list": (
        "[1.0, 5.0]",
        "1.0",
        "line 25: models[0].sweep.options.forget_bias (LSTM): expected a valid list, got 1.0",
    ),
    "infinite values to try": (
        "[1.0, 5.0]",
        "[1.0, inf]",
        "line 25: models[0].sweep.options (LSTM): numbers must be finite",
    ),
    "a size among swept options": (
        "options.forget_bias",
        "options.hidden_size",
        "line 25: models[0].sweep.options (LSTM): hidden_size is set beside them, not among "
        "the options",
    ),
    "a swept option outside of options": (
        "options.forget_bias",
        "forget_bias",
        "line 25: models[0].sweep.forget_bias (LSTM): unknown key; expected one of "
        "hidden_size, num_layers, options, training",
    ),
    "swept twice": (
        "training.learning_rate = [0.1, 1.0]",
        "training.learning_rate = [0.1, 1.0]\nmodels.options.forget_bias = [2.0]",
        "line 25: models[0].sweep (LSTM): options.forget_bias is swept, and is given another "
        "value elsewhere as well; expected it once",
    ),
    "swept and given a value": (
        "options = { step_size = 0.1 }",
        "options = { step_size = 0.1, diffusion = 0.2 }",
        "line 32: models[1].sweep (Antisymmetric, γ = {diffusion}): options.diffusion is "
        "swept, and is given another value elsewhere as well; expected it once",
    ),
    "swept for all and given a value for one": (
        "hidden_size = 4\noptions",
        "hidden_size = 4\ntraining = { learning_rate = 0.5 }\noptions",
        "line 33: models[1].sweep (Antisymmetric, γ = {diffusion}): training.learning_rate "
        "is swept, and is given another value elsewhere as well; expected it once",
    ),
    "swept and given a value by an exception": (
        "hidden_size = 4\n\n[models.sweep]",
        "hidden_size = 4\non.padded.options = { forget_bias = 2.0 }\n[models.sweep]",
        "line 24: models[0].sweep (LSTM): options.forget_bias is swept, and is given another "
        "value elsewhere as well; expected it once",
    ),
    "a swept option of a task with a value": (
        "sweep = { options.length = [32, 64] }",
        "options = { length = 100 }\nsweep = { options.length = [32, 64] }",
        "line 8: tasks[0].sweep (padded): options.length is swept, and is given another "
        "value elsewhere as well; expected it once",
    ),
    "an impossible task among those to try": (
        "length = [32, 64]",
        "length = [32, 5]",
        "line 7: tasks[0].sweep (padded): length must be at least 8, the rows of an image, got 5",
    ),
    "a swept training where nothing is trained": (
        "[training]\niterations = 20\n",
        "",
        "line 15: sweep.training: the study trains nothing; add a table [training], which "
        "may be empty",
    ),
    "a label that names what is not swept": (
        "γ = {diffusion}",
        "γ = {gamma}",
        "line 28: models[1].label (Antisymmetric, γ = {gamma}): {gamma} is not swept; what "
        "is swept: diffusion, learning_rate",
    ),
    "a model without a size": (
        'name = "lstm"\nhidden_size = 4',
        'name = "lstm"',
        "line 19: models[0].hidden_size (LSTM): missing; this key is required",
    ),
    "a size that is swept and given": (
        "options.forget_bias = [1.0, 5.0]",
        "hidden_size = [8, 16]",
        "line 24: models[0].sweep (LSTM): hidden_size is swept, and is given another value "
        "elsewhere as well; expected it once",
    ),
    "more cells than any run could compute": (
        "options.forget_bias = [1.0, 5.0]",
        f"options.forget_bias = {list(range(1000))}\noptions.other = {list(range(1000))}",
        "line 16: sweep: expected at most 1,000,000 cells, got 2,000,004 models × 2 tasks × "
        "2 seeds",
    ),
    "lengths beyond one of the swept tasks": (
        "sequences = 2",
        "sequences = 2\nlengths = [64]",
        "line 12: grid.lengths: expected at most the 32 steps of task 'padded (length=32)', got 64",
    ),
}


@pytest.mark.parametrize(("before", "after", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named(before: str, after: str, expected: str) -> None:
    assert_told(expected, SWEPT_STUDY, before, after)
