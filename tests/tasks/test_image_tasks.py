"""MNIST's and CIFAR-10's tasks, on small files of their formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import data_files
import numpy as np
import pytest
import torch

from gradprobe import tasks
from gradprobe.errors import ArgumentError, DataError
from gradprobe.tasks import image_files, noise_padded_cifar10
from gradprobe.tasks.cifar10 import Cifar10Task
from gradprobe.tasks.permuted_mnist import PERMUTATIONS, PermutedMnist
from gradprobe.tasks.pixel_mnist import PixelMnist

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TRAIN, TEST, VALIDATION = 50, 20, 10
Arrays = dict[str, "NDArray[np.uint8]"]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Arrays:
    """Put small data sets in place of the real ones, and return what they hold."""
    made: Arrays = {
        "mnist train": data_files.images(TRAIN, 28, 28, seed=0),
        "mnist train labels": data_files.labels(TRAIN, 1),
        "mnist test": data_files.images(TEST, 28, 28, seed=2),
        "mnist test labels": data_files.labels(TEST, 3),
        "cifar train": data_files.images(TRAIN, 32, 32, 3, seed=4),
        "cifar train labels": data_files.labels(TRAIN, 5),
        "cifar test": data_files.images(TEST, 32, 32, 3, seed=6),
        "cifar test labels": data_files.labels(TEST, 7),
    }
    names = {"train": "train", "t10k": "test"}
    mnist = {
        f"{prefix}-{kind}": data_files.idx(made[f"mnist {part}{suffix}"])
        for prefix, part in names.items()
        for kind, suffix in (("images-idx3-ubyte", ""), ("labels-idx1-ubyte", " labels"))
    }
    fifth = TRAIN // 5
    cifar = {
        f"data_batch_{number + 1}.bin": data_files.cifar(
            made["cifar train"][number * fifth : (number + 1) * fifth],
            made["cifar train labels"][number * fifth : (number + 1) * fifth],
        )
        for number in range(5)
    }
    cifar["test_batch.bin"] = data_files.cifar(made["cifar test"], made["cifar test labels"])
    monkeypatch.setenv("GRADPROBE_DATA", str(tmp_path))
    mnist_set = data_files.written(tmp_path, "mnist", mnist, packed=True)
    monkeypatch.setattr(PixelMnist, "data_set", mnist_set)
    cifar_set = data_files.written(tmp_path, "cifar-10-batches-bin", cifar)
    monkeypatch.setattr(Cifar10Task, "data_set", cifar_set)
    for kind in (PixelMnist, Cifar10Task):
        monkeypatch.setattr(kind, "published_sizes", (TRAIN, TEST))
    monkeypatch.setattr(image_files, "VALIDATION_SIZE", VALIDATION)
    return made


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_pixels_of_mnist_come_row_by_row(small: Arrays) -> None:
    inputs, targets = tasks.build("pixel_mnist").batch("test", [3, 0], source())
    assert inputs.shape == (784, 2, 1)
    assert inputs.dtype == torch.float64
    expected = small["mnist test"][3].reshape(-1) / 255
    np.testing.assert_allclose(inputs[:, 0, 0].numpy(), expected, rtol=1e-7)
    assert targets.tolist() == small["mnist test labels"][[3, 0]].tolist()


@pytest.mark.parametrize("name", PERMUTATIONS)
def test_permuted_pixels_are_those_of_the_order(small: Arrays, name: str) -> None:
    task = PermutedMnist(permutation=name)
    assert sorted(task.order.tolist()) == list(range(784))
    plain, _ = tasks.build("pixel_mnist").batch("train", [0, 1, 2], source())
    permuted, _ = task.batch("train", [0, 1, 2], source())
    assert torch.equal(permuted, plain[task.order.copy()])


def test_the_orders_are_those_of_published_code() -> None:
    """Drawn anew by their libraries' global functions; the third by the usual recursion."""
    with torch.random.fork_rng():
        torch.manual_seed(12008)
        expected = torch.randperm(784).tolist()
    assert PermutedMnist(permutation="torch_12008").order.tolist() == expected
    state = np.random.RandomState(92916)
    assert PermutedMnist().order.tolist() == state.permutation(784).tolist()
    reversal = [0]
    while len(reversal) < 1024:
        reversal = [2 * number for number in reversal] + [2 * number + 1 for number in reversal]
    found = PermutedMnist(permutation="bit_reversal").order
    assert found.tolist() == [number for number in reversal if number < 784]


def test_an_unknown_permutation_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ArgumentError, match=r"numpy_92916.*torch_12008.*bit_reversal"):
        PermutedMnist(permutation="numpy_0")


@pytest.mark.parametrize("name", ["pixel_mnist", "pixel_cifar10"])
def test_train_and_validation_share_the_published_training_images(small: Arrays, name: str) -> None:
    task = tasks.build(name)
    assert [task.size(part) for part in ("train", "validation", "test")] == [40, 10, 20]
    parts = [
        task.batch(part, range(task.size(part)), source())[0].flatten(2).transpose(0, 1).flatten(1)
        for part in ("train", "validation")
    ]
    found = {tuple(row.tolist()) for part in parts for row in part}
    key = "mnist train" if name == "pixel_mnist" else "cifar train"
    expected = (small[key] / np.float32(255)).astype(np.float32).astype(np.float64)
    assert found == {tuple(image.reshape(-1).tolist()) for image in expected}
    again = tasks.build(name).batch("validation", [4], source(9))[0]
    assert torch.equal(again, task.batch("validation", [4], source())[0])


def test_a_pixel_of_cifar_has_its_three_channels(small: Arrays) -> None:
    inputs, targets = tasks.build("pixel_cifar10").batch("test", [1], source(), torch.float32)
    assert inputs.shape == (1024, 1, 3)
    assert inputs.dtype == torch.float32
    expected = small["cifar test"][1].reshape(1024, 3) / np.float32(255)
    np.testing.assert_array_equal(inputs[:, 0].numpy(), expected)
    assert targets.tolist() == [int(small["cifar test labels"][1])]


def test_the_last_rows_are_the_end_of_the_image(small: Arrays) -> None:
    whole, _ = tasks.build("pixel_cifar10").batch("train", [0, 7], source())
    last, _ = tasks.build("pixel_cifar10", last_rows=2).batch("train", [0, 7], source())
    assert torch.equal(last, whole[-64:])
    with pytest.raises(ArgumentError, match="at most the 32 of an image, got 33"):
        tasks.build("pixel_cifar10", last_rows=33)


def test_rows_of_an_image_are_followed_by_noise_of_its_own(small: Arrays) -> None:
    task = tasks.build("noise_padded_cifar10", length=60)
    inputs, _ = task.batch("train", [5, 6], source(1))
    pixels, _ = tasks.build("pixel_cifar10").batch("train", [5, 6], source())
    rows = pixels.unflatten(0, (32, 32)).permute(0, 2, 1, 3).flatten(2)
    assert torch.equal(inputs[:32], rows)
    assert torch.equal(inputs, task.batch("train", [5, 6], source(1))[0])
    assert not torch.equal(inputs[32:], task.batch("train", [5, 6], source(2))[0][32:])
    assert not torch.equal(inputs[32:, 0], inputs[32:, 1])


def test_noise_is_standard_normal_and_white(small: Arrays) -> None:
    task = tasks.build("noise_padded_cifar10", length=132)
    noise = task.batch("train", range(40), source())[0][32:].flatten()
    count = noise.numel()
    assert abs(float(noise.mean())) < 4 / count**0.5
    assert abs(float(noise.var()) - 1) < 4 * (2 / count) ** 0.5
    assert abs(float((noise[1:] * noise[:-1]).mean())) < 4 / count**0.5
    assert abs(float((noise**4).mean()) - 3) < 4 * (96 / count) ** 0.5


@pytest.mark.parametrize("split", ["validation", "test"])
def test_noise_of_evaluations_is_stored_by_example(small: Arrays, split: str) -> None:
    task = tasks.build("noise_padded_cifar10", length=40)
    together, _ = task.batch(split, [2, 3], source(0))
    alone, _ = task.batch(split, [3], source(1))
    assert torch.equal(together[:, 1:], alone)
    assert not torch.equal(together[32:, 0], together[32:, 1])
    assert torch.equal(task.batch(split, [3], source(2), torch.float32)[0].double(), alone)
    other = "test" if split == "validation" else "validation"
    assert not torch.equal(task.batch(other, [3], source())[0][32:], alone[32:])


def test_fixed_noise_is_one_suffix_for_all(small: Arrays) -> None:
    task = tasks.build("noise_padded_cifar10", length=40, noise="fixed")
    train, _ = task.batch("train", [0, 1], source(0))
    test, _ = task.batch("test", [9], source(1))
    assert torch.equal(train[32:, 0], train[32:, 1])
    assert torch.equal(train[32:, 0], test[32:, 0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 31}, "length must be at least 32, the rows of an image, got 31"),
        ({"noise": "none"}, "noise must be one of fresh, fixed|noise must be .*fresh"),
    ],
)
def test_impossible_noise_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        tasks.build("noise_padded_cifar10", **options)


def test_results_tell_the_data_the_split_and_the_noise(small: Arrays, tmp_path: Path) -> None:
    told = tasks.build("noise_padded_cifar10", length=64).provenance
    assert "published SHA-256 sums; 40 train, 10 validation, 20 test" in told
    assert "up to 64 steps, drawn anew for every training example (seed " in told
    assert str(noise_padded_cifar10.NOISE_SEED) in told
    assert "RandomState(92916)" in tasks.build("permuted_mnist").provenance
    batch = tmp_path / "cifar-10-batches-bin/test_batch.bin"
    batch.write_bytes(batch.read_bytes()[:-1] + b"\x07")
    (tmp_path / "cifar-10-batches-bin/PROVENANCE").write_text("encoded again\n")
    assert "not the published ones: encoded again; 40" in tasks.build("pixel_cifar10").provenance


@pytest.mark.parametrize(
    "name", ["pixel_mnist", "permuted_mnist", "pixel_cifar10", "noise_padded_cifar10"]
)
def test_a_task_is_described_without_its_data_and_missing_ones_are_told(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADPROBE_DATA", str(tmp_path))
    task = tasks.build(name)
    assert task.size("test") == 10_000
    with pytest.raises(DataError, match=r"gradprobe data fetch (mnist|cifar10), or let GRADPROBE"):
        task.check_data()


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (
            (3, 28, 28),
            [1, 2, 3, 4],
            r"got images of shape \(3, 28, 28\) and labels of shape \(4,\)",
        ),
        ((3, 14, 56), [1, 2, 3], r"got images of shape \(3, 14, 56\)"),
        ((3, 28, 28), [1, 10, 3], "must have labels from 0 to 9, got 10"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(
    images: tuple[int, ...],
    labels: list[int],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = {
        "t10k-images-idx3-ubyte": data_files.idx(np.zeros(images, np.uint8)),
        "t10k-labels-idx1-ubyte": data_files.idx(np.array(labels, np.uint8)),
    }
    monkeypatch.setenv("GRADPROBE_DATA", str(tmp_path))
    monkeypatch.setattr(PixelMnist, "data_set", data_files.written(tmp_path, "mnist", made))
    with pytest.raises(DataError, match=message):
        PixelMnist().batch("test", [0], source())
