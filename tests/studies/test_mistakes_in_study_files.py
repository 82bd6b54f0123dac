"""Mistakes in the grid, the models and the probes of a study file, and what is said of each."""

from __future__ import annotations

import pytest
from mistakes_in_studies import assert_told
from study_texts import SMALL_STUDY

MISTAKES = {
    "unknown key at the top": (
        "[grid]",
        "[grdi]",
        "grdi: unknown key; expected one of name, question, description, tasks, grid, models",
    ),
    "unknown key in a table": (
        "sequences = 2",
        "sequences = 2\nseqences = 2",
        "grid.seqences: unknown key; expected one of seeds, lengths, sequences, split, dtype,",
    ),
    "unknown key of a model": (
        'name = "vanilla"',
        'name = "vanilla"\nforget_bias = 1.0',
        "models[0].forget_bias (Vanilla): unknown key; expected one of label, name, hidden_size",
    ),
    "missing key": ("sequences = 2\n", "", "grid.sequences: missing; this key is required"),
    "text for a number": (
        "sequences = 2",
        'sequences = "2"',
        "grid.sequences: expected a valid integer, got '2'",
    ),
    "float for an integer": (
        "sequences = 2",
        "sequences = 2.0",
        "grid.sequences: expected a valid integer, got 2.0",
    ),
    "boolean for an integer": (
        "seeds = [0, 1]",
        "seeds = [0, true]",
        "grid.seeds[1]: expected a valid integer, got True",
    ),
    "text in a list": (
        "seeds = [0, 1]",
        'seeds = [0, "1"]',
        "grid.seeds[1]: expected a valid integer, got '1'",
    ),
    "number for a list": (
        "seeds = [0, 1]",
        "seeds = 0",
        "grid.seeds: expected a valid list, got 0",
    ),
    "empty list": (
        "seeds = [0, 1]",
        "seeds = []",
        "grid.seeds: expected to have at least 1 item, got []",
    ),
    "negative seed": (
        "seeds = [0, 1]",
        "seeds = [-1]",
        "grid.seeds[0]: expected greater than or equal to 0, got -1",
    ),
    "seed beyond 64 bits": (
        "seeds = [0, 1]",
        "seeds = [9223372036854775808]",
        "grid.seeds[0]: expected less than or equal to 9223372036854775807, got",
    ),
    "repeated seed": (
        "seeds = [0, 1]",
        "seeds = [3, 3]",
        "grid.seeds: each must stand once, 3 is repeated",
    ),
    "repeated length": (
        "lengths = [64, 32]",
        "lengths = [32, 32]",
        "grid.lengths: each must stand once, 32 is repeated",
    ),
    "length zero": (
        "lengths = [64, 32]",
        "lengths = [0]",
        "grid.lengths[0]: expected greater than 0, got 0",
    ),
    "length beyond the task": (
        "lengths = [64, 32]",
        "lengths = [32, 65]",
        "grid.lengths: expected at most the 64 steps of task 'noise_padded_digits', got 65",
    ),
    "impossible dtype": (
        "sequences = 2",
        'sequences = 2\ndtype = "float16"',
        "grid.dtype: expected 'float64' or 'float32', got 'float16'",
    ),
    "impossible split": (
        "sequences = 2",
        'sequences = 2\nsplit = "all"',
        "grid.split: expected 'train', 'validation' or 'test', got 'all'",
    ),
    "zero units": (
        "hidden_size = 4\noptions",
        "hidden_size = 0\noptions",
        "models[1].hidden_size (LSTM, forget bias 5): expected greater than 0, got 0",
    ),
    "unknown model": (
        '"vanilla"',
        '"vanila"',
        "models[0].name (Vanilla): unknown model 'vanila'; the models are: antisymmetric,",
    ),
    "unknown probe": (
        "gradient_norm",
        "gradient_norms",
        "probes.gradient_norms: unknown probe 'gradient_norms'; the probes are: ",
    ),
    "unknown task": (
        "noise_padded_digits",
        "mnist",
        "tasks[0].name (mnist): unknown task 'mnist'; the tasks are: ",
    ),
    "impossible option of the task": (
        "length = 64",
        "length = 5",
        "tasks[0] (noise_padded_digits): length must be at least 8, the rows of an image, got 5",
    ),
    "unknown option of the task": (
        "length = 64",
        "lenght = 64",
        "tasks[0] (noise_padded_digits): task 'noise_padded_digits' has the options length; got",
    ),
    "no number": (
        "forget_bias = 5.0",
        "forget_bias = nan",
        "models[1].options (LSTM, forget bias 5): numbers must be finite",
    ),
    "a date among options": (
        "forget_bias = 5.0",
        "forget_bias = 2026-01-01",
        "models[1].options.forget_bias (LSTM, forget bias 5): ",
    ),
    "a size among options": (
        "forget_bias = 5.0",
        "hidden_size = 5",
        "models[1].options (LSTM, forget bias 5): hidden_size is set beside them, not among the",
    ),
    "a seed's business among options": (
        "forget_bias = 5.0",
        "generator = 5",
        "models[1].options (LSTM, forget bias 5): generator is set by the study, not among the",
    ),
    "repeated label": (
        '"LSTM, forget bias 5"',
        '"Vanilla"',
        "models: each must stand once, Vanilla is repeated",
    ),
    "repeated model": (
        'name = "lstm"\nhidden_size = 4\noptions = { forget_bias = 5.0 }',
        'name = "vanilla"\nhidden_size = 4',
        "models: 'LSTM, forget bias 5' and 'Vanilla' are the same model with the same options on",
    ),
    "empty label": (
        '"LSTM, forget bias 5"',
        '""',
        "models[1].label (): expected to have at least 1 character, got ''",
    ),
    "a name that is no file name": (
        'name = "small"',
        'name = "../small"',
        "name: expected to match pattern '^[A-Za-z0-9][A-Za-z0-9_.-]*$', got '../small'",
    ),
    "no probes": (
        "[probes.gradient_norm]",
        "[probes]",
        "probes: expected at least one probe, or a table [training]; nothing is to be done",
    ),
    "a probe that is no table": (
        "[probes.gradient_norm]",
        "[probes]\ngradient_norm = true",
        "probes.gradient_norm: expected a valid table, got True",
    ),
}


@pytest.mark.parametrize(("before", "after", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named(before: str, after: str, expected: str) -> None:
    assert_told(expected, SMALL_STUDY, before, after)
