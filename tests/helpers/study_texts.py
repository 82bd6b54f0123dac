"""Study files, as texts, that tests change and read."""

SMALL_STUDY = """\
name = "small"
question = "Do gradients survive 64 steps?"

[[tasks]]
name = "noise_padded_digits"
options = { length = 64 }

[grid]
seeds = [0, 1]
lengths = [64, 32]
sequences = 2

[[models]]
label = "Vanilla"
name = "vanilla"
hidden_size = 4

[[models]]
label = "LSTM, forget bias 5"
name = "lstm"
hidden_size = 4
options = { forget_bias = 5.0 }

[probes.gradient_norm]
"""

TRAINED_STUDY = """\
name = "trained"
question = "Which model learns?"

[[tasks]]
label = "rows"
name = "digits_rows"

[[tasks]]
label = "padded"
name = "noise_padded_digits"
options = { length = 64 }
lengths = [32, 64]
training = { iterations = 30 }

[grid]
seeds = [0, 1]
sequences = 2

[training]
optimizer = "adagrad"
learning_rate = 0.1
iterations = 20
probe_at = [0]

[[models]]
label = "LSTM"
name = "lstm"
hidden_size = 4
training = { learning_rate = 0.05 }
published = { parameters = 68000, source = "Table 1" }

[models.on.padded]
hidden_size = 5
options = { forget_bias = 5.0 }
training = { optimizer = "sgd", iterations = 10 }
published = { test_accuracy = 97.3 }

[[models]]
label = "Vanilla"
name = "vanilla"
hidden_size = 4
only = ["rows"]

[[models]]
label = "GRU"
name = "gru"
hidden_size = 4
skip = ["rows"]

[probes.gradient_norm]
"""

SWEPT_STUDY = """\
name = "swept"
question = "Which initialisation learns?"

[[tasks]]
label = "padded"
name = "noise_padded_digits"
sweep = { options.length = [32, 64] }

[grid]
seeds = [0, 1]
sequences = 2

[training]
iterations = 20

[sweep]
training.learning_rate = [0.1, 1.0]

[[models]]
label = "LSTM"
name = "lstm"
hidden_size = 4

[models.sweep]
options.forget_bias = [1.0, 5.0]

[[models]]
label = "Antisymmetric, γ = {diffusion}"
name = "antisymmetric"
hidden_size = 4
options = { step_size = 0.1 }
sweep = { options.diffusion = [0.0, 0.1] }

[probes.gradient_norm]
"""
