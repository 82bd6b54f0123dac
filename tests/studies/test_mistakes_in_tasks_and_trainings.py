"""Mistakes in the tasks, exceptions and trainings of a study file, and what is said of each."""

from __future__ import annotations

import pytest
from mistakes_in_studies import assert_told
from study_texts import TRAINED_STUDY

MISTAKES = {
    "the table of older files": (
        '[[tasks]]\nlabel = "rows"\nname = "digits_rows"\n\n[[tasks]]',
        "[task]",
        "task: a study has a list of tasks now; write [[tasks]] in place of [task], its keys stay",
    ),
    "unknown key of a task": (
        'name = "digits_rows"',
        'name = "digits_rows"\nsplit = "train"',
        "tasks[0].split (rows): unknown key; expected one of label, name, options, lengths, train",
    ),
    "repeated label of a task": (
        'label = "rows"',
        'label = "padded"',
        "tasks: each must stand once, padded is repeated",
    ),
    "a task without a name": (
        'label = "rows"\nname = "digits_rows"',
        'label = "rows"',
        "tasks[0].name (rows): missing; this key is required",
    ),
    "lengths beyond one of the tasks": (
        "lengths = [32, 64]",
        "lengths = [32, 65]",
        "tasks[1].lengths (padded): expected at most the 64 steps of task 'padded', got 65",
    ),
    "lengths of the grid beyond one of the tasks": (
        "sequences = 2",
        "sequences = 2\nlengths = [9]",
        "grid.lengths: expected at most the 8 steps of task 'rows', got 9",
    ),
    "the same cell twice": (
        'name = "vanilla"\nhidden_size = 4\nonly = ["rows"]',
        'name = "gru"\nhidden_size = 4',
        "models: 'GRU' and 'Vanilla' are the same model with the same options on task 'padded'",
    ),
    "unknown task in only": (
        'only = ["rows"]',
        'only = ["columns"]',
        "models[1].only (Vanilla): no task is called 'columns'; the tasks are: rows, padded",
    ),
    "unknown task in skip": (
        'skip = ["rows"]',
        'skip = ["digits_rows"]',
        "models[2].skip (GRU): no task is called 'digits_rows'; the tasks are: rows, padded",
    ),
    "unknown task of an exception": (
        "[models.on.padded]",
        "[models.on.noise]",
        "models[0].on (LSTM): no task is called 'noise'; the tasks are: rows, padded",
    ),
    "an exception for a task that is skipped": (
        'label = "LSTM"',
        'label = "LSTM"\nskip = ["padded"]',
        "models[0].on (LSTM): the model does not run on task 'padded'",
    ),
    "only and skip": (
        'skip = ["rows"]',
        'skip = ["rows"]\nonly = ["padded"]',
        "models[2].skip (GRU): expected either only or skip, got both",
    ),
    "no task left": (
        'skip = ["rows"]',
        'skip = ["rows", "padded"]',
        "models[2] (GRU): runs on no task; the tasks are: rows, padded",
    ),
    "unknown key of an exception": (
        "hidden_size = 5",
        "hiden_size = 5",
        "models[0].on.padded.hiden_size (LSTM): unknown key; expected one of hidden_size, options,",
    ),
    "unknown key of the training": (
        "[training]",
        "[training]\nrate = 1",
        "training.rate: unknown key; expected one of optimizer, learning_rate, momentum, batch",
    ),
    "unknown key of a model's training": (
        "{ learning_rate = 0.05 }",
        "{ learningrate = 0.05 }",
        "models[0].training.learningrate (LSTM): unknown key; expected one of optimizer, learning",
    ),
    "wrong type in an exception's training": (
        'optimizer = "sgd", iterations = 10',
        'optimizer = "sgd", iterations = "10"',
        "models[0].on.padded.training.iterations (LSTM): expected a valid integer, got '10'",
    ),
    "unknown optimizer": (
        '"adagrad"',
        '"adagrd"',
        "training.optimizer: expected 'sgd', 'adagrad', 'adam' or 'rmsprop', got 'adagrd'",
    ),
    "exceptions to no training": (
        '[training]\noptimizer = "adagrad"\nlearning_rate = 0.1\niterations = 20\nprobe_at = [0]\n',
        "",
        "models[0].training (LSTM): the study trains nothing; add a table [training], which may be",
    ),
    "probes that never measure": (
        "probe_at = [0]",
        "probe_at = []",
        "training.probe_at: expected the iterations to probe at, 0 for the initialisation;",
    ),
    "more sequences than a task has": (
        "sequences = 2",
        "sequences = 9999",
        "grid.sequences: expected at most the 1197 examples of split 'train' of task 'rows'",
    ),
    "larger batches than a task has": (
        "iterations = 20",
        "iterations = 20\nbatch_size = 9999",
        "training.batch_size: expected at most the 1197 training examples of task 'rows', got",
    ),
    "keys that do not go together": (
        'optimizer = "adagrad"',
        'optimizer = "adagrad"\nmomentum = 0.9',
        "training: momentum is an option of sgd and rmsprop, got 0.9 with adagrad (LSTM on rows)",
    ),
    "unknown key of what is published": (
        "{ test_accuracy = 97.3 }",
        "{ accuracy = 97.3 }",
        "models[0].on.padded.published.accuracy (LSTM): unknown key; expected one of test_accuracy",
    ),
    "a published accuracy beyond 100 %": (
        "{ test_accuracy = 97.3 }",
        "{ test_accuracy = 973 }",
        "models[0].on.padded.published.test_accuracy (LSTM): expected less than or equal to 100,",
    ),
    "a size among an exception's options": (
        "{ forget_bias = 5.0 }",
        "{ hidden_size = 5 }",
        "models[0].on.padded.options (LSTM): hidden_size is set beside them, not among the options",
    ),
}


@pytest.mark.parametrize(("before", "after", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named(before: str, after: str, expected: str) -> None:
    assert_told(expected, TRAINED_STUDY, before, after)
