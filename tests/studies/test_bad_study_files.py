"""Study files with one mistake each, and the message that each must give."""

from __future__ import annotations

import re

import pytest
from study_texts import SMALL_STUDY, SWEPT_STUDY, TRAINED_STUDY

from gradprobe.errors import StudyFileError
from gradprobe.studies.reading import parse_study

IN_SMALL = {
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

IN_TRAINED = {
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

IN_SWEPT = {
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

CASES = {
    **{name: (SMALL_STUDY, *case) for name, case in IN_SMALL.items()},
    **{name: (TRAINED_STUDY, *case) for name, case in IN_TRAINED.items()},
    **{name: (SWEPT_STUDY, *case) for name, case in IN_SWEPT.items()},
}
LINE = re.compile(r"^line \d+: ")


@pytest.mark.parametrize(("study", "before", "after", "expected"), CASES.values(), ids=CASES)
def test_a_mistake_is_named(study: str, before: str, after: str, expected: str) -> None:
    assert before in study
    with pytest.raises(StudyFileError) as caught:
        parse_study(study.replace(before, after), "broken.toml")
    first, *others = str(caught.value).splitlines()
    mistakes = [line.strip() for line in others] or [first.removeprefix("broken.toml: ")]
    assert first.startswith("broken.toml: ")
    told = [mistake for mistake in mistakes if expected in mistake]
    assert told, mistakes
    # The key comes first, after its line; a key of the file that is missing has none.
    assert LINE.match(told[0]) or told[0] == "grid: missing; this key is required"
