"""The names of the tasks, and where each is."""

from __future__ import annotations

TASKS: dict[str, str] = {
    "digits_rows": "gradprobe.tasks.digits_rows:DigitsRows",
    "digits_pixels": "gradprobe.tasks.digits_pixels:DigitsPixels",
    "noise_padded_digits": "gradprobe.tasks.noise_padded_digits:NoisePaddedDigits",
    "pixel_mnist": "gradprobe.tasks.pixel_mnist:PixelMnist",
    "permuted_mnist": "gradprobe.tasks.permuted_mnist:PermutedMnist",
    "pixel_cifar10": "gradprobe.tasks.pixel_cifar10:PixelCifar10",
    "noise_padded_cifar10": "gradprobe.tasks.noise_padded_cifar10:NoisePaddedCifar10",
    "copying": "gradprobe.tasks.copying:Copying",
    "adding": "gradprobe.tasks.adding:Adding",
    "no_input": "gradprobe.tasks.no_input:NoInput",
    "gaussian_inputs": "gradprobe.tasks.gaussian_inputs:GaussianInputs",
}
"""Place of each task by name; none of these modules imports torch until a batch is asked for."""
