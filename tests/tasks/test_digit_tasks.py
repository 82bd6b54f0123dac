"""The digit tasks against scikit-learn's own arrays."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from gradprobe import tasks
from gradprobe.errors import ArgumentError, UnknownNameError
from gradprobe.tasks.digits import split_indices

SPLITS = ("train", "validation", "test")
LENGTHS = {"digits_rows": (8, 8), "digits_pixels": (64, 1), "noise_padded_digits": (1000, 8)}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", LENGTHS)
def test_shapes_dtypes_and_description(name: str) -> None:
    task = tasks.build(name)
    length, features = LENGTHS[name]
    assert (task.name, task.length, task.input_size) == (name, length, features)
    assert task.number_of_classes == 10
    inputs, targets = task.batch("test", [0, 299, 5], seeded(0))
    assert inputs.shape == (length, 3, features)
    assert targets.shape == (3,)
    assert (inputs.dtype, targets.dtype) == (torch.float64, torch.int64)
    assert inputs.is_contiguous()
    for part in ("scikit-learn 1.", "1797 images", "1197 train, 300 validation, 300 test"):
        assert part in task.provenance


@pytest.mark.parametrize("split", SPLITS)
def test_every_row_and_pixel_is_scikit_learns(split: str) -> None:
    digits = load_digits()
    chosen = split_indices(split)
    everything = range(len(chosen))
    rows, row_targets = tasks.build("digits_rows").batch(split, everything, seeded(0))
    pixels, pixel_targets = tasks.build("digits_pixels").batch(split, everything, seeded(0))
    for example, image in enumerate(chosen):
        assert (rows[:, example].numpy() * 16 == digits.images[image]).all()
        assert (pixels[:, example, 0].numpy() * 16 == digits.data[image]).all()
    assert (row_targets.numpy() == digits.target[chosen]).all()
    assert (pixel_targets.numpy() == digits.target[chosen]).all()
    assert rows.min() >= 0
    assert rows.max() == 1


def test_the_split_is_a_partition_that_never_changes() -> None:
    parts = [split_indices(split) for split in SPLITS]
    assert sorted(np.concatenate(parts)) == list(range(1797))
    firsts = [part[:4].tolist() for part in parts]
    assert firsts == [[476, 929, 648, 394], [811, 1376, 1278, 1598], [1731, 279, 238, 752]]


def test_every_class_is_in_every_split() -> None:
    target = load_digits().target
    for split in SPLITS:
        assert np.bincount(target[split_indices(split)], minlength=10).min() >= 15


def test_noise_follows_the_rows_anew_for_every_example() -> None:
    task = tasks.build("noise_padded_digits", length=500)
    generator = seeded(3)
    indices = list(range(20))
    inputs, targets = task.batch("train", indices, generator)
    again, _ = task.batch("train", indices, generator)
    rows, row_targets = tasks.build("digits_rows").batch("train", indices, seeded(0))
    assert inputs.shape == (500, 20, 8)
    assert torch.equal(inputs[:8], rows)
    assert torch.equal(targets, row_targets)
    noise = inputs[8:]
    assert not torch.equal(noise, again[8:])
    # 78,720 numbers: the standard error of the mean is 0.0036, that of the variance 0.0050.
    assert abs(noise.mean().item()) < 0.015
    assert abs(noise.var().item() - 1) < 0.02
    across_examples = torch.corrcoef(noise.transpose(0, 1).flatten(start_dim=1))
    across_steps = torch.corrcoef(noise[:20].flatten(start_dim=1))
    for correlation in (across_examples, across_steps):
        off_diagonal = correlation - torch.eye(20, dtype=torch.float64)
        assert off_diagonal.abs().max() < 0.4


def test_the_generator_alone_decides_what_is_drawn() -> None:
    task = tasks.build("noise_padded_digits", length=30)
    torch.manual_seed(0)
    first = task.draw(6, seeded(1))
    torch.manual_seed(1)
    second = task.draw(6, seeded(1))
    other = task.draw(6, seeded(2))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[0], other[0])


def test_drawing_all_gives_every_example_once() -> None:
    task = tasks.build("digits_rows")
    drawn, _ = task.draw(300, seeded(0), split="validation")
    everything, _ = task.batch("validation", range(300), seeded(0))
    one_by_one = [sorted(inputs.transpose(0, 1).tolist()) for inputs in (drawn, everything)]
    assert one_by_one[0] == one_by_one[1]


def test_noise_padding_of_eight_steps_is_the_rows_alone() -> None:
    padded, _ = tasks.build("noise_padded_digits", length=8).batch("train", [7], seeded(0))
    rows, _ = tasks.build("digits_rows").batch("train", [7], seeded(0))
    assert torch.equal(padded, rows)


def test_impossible_requests_are_refused() -> None:
    rows = tasks.build("digits_rows")
    with pytest.raises(ArgumentError, match="must lie between 0 and 299, got 300"):
        rows.batch("test", [0, 300], seeded(0))
    with pytest.raises(ArgumentError, match="must lie between 0 and 299, got -1"):
        rows.batch("test", [-1], seeded(0))
    with pytest.raises(ArgumentError, match="got none"):
        rows.batch("test", [], seeded(0))
    with pytest.raises(ArgumentError, match="split must be one of 'train', 'validation', 'test'"):
        rows.batch("training", [0], seeded(0))
    with pytest.raises(ArgumentError, match="count must be at most the 300 examples"):
        rows.draw(301, seeded(0), split="test")
    with pytest.raises(ArgumentError, match="count must be a positive integer, got 0"):
        rows.draw(0, seeded(0))


def test_impossible_options_are_refused() -> None:
    with pytest.raises(
        ArgumentError, match="length must be at least 8, the rows of an image, got 7"
    ):
        tasks.build("noise_padded_digits", length=7)
    with pytest.raises(ArgumentError, match=r"length must be a positive integer, got 8\.5"):
        tasks.build("noise_padded_digits", length=8.5)
    with pytest.raises(ArgumentError, match="has the options length; got lenght"):
        tasks.build("noise_padded_digits", lenght=8)
    with pytest.raises(ArgumentError, match=r"has the options \(none\); got length"):
        tasks.build("digits_rows", length=8)
    with pytest.raises(UnknownNameError, match=r"the tasks are: .*digits_pixels, digits_rows"):
        tasks.build("mnist")


def test_describing_a_task_imports_neither_torch_nor_scikit_learn() -> None:
    script = (
        "import sys; from gradprobe import tasks\n"
        "for name in tasks.TASKS: tasks.build(name).size('test')\n"
        "for name in tasks.TASKS: 'digits' not in name or tasks.build(name).provenance\n"
        "print(sorted({'torch', 'sklearn'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert result.stdout.split() == [b"[]"]
