"""Norms at every step need no more memory for a long sequence than for a short one."""

from __future__ import annotations

import subprocess
import sys

SHORT, LONG, BATCH, UNITS = 300, 2000, 32, 64
MEBIBYTE = 1 << 20
# All states, as numbers of eight bytes: what must not be kept.
STATES = (LONG - SHORT) * BATCH * UNITS * 8 / MEBIBYTE

PROGRAM = """
import resource, sys
import torch
from gradprobe import models
from gradprobe.linalg import ScaledProduct

torch.set_num_threads(1)
length, batch, units = map(int, sys.argv[1:])
model = models.build("vanilla", input_size=1, hidden_size=units)
trajectory = models.trace(model, torch.zeros(length, batch, 1))
for jacobians in (
    trajectory.step_jacobians(),
    (jacobian.T for jacobian in trajectory.step_jacobians_reversed()),
):
    product = ScaledProduct(units, slice(0, 1), batch_shape=(batch,))
    product.log_norms(jacobians)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_mebibytes(length: int) -> float:
    """Return the largest resident memory of a process that measures norms in both directions."""
    arguments = [sys.executable, "-c", PROGRAM, *map(str, (length, BATCH, UNITS))]
    result = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=120)
    unit = 1 if sys.platform == "darwin" else 1024
    return int(result.stdout) * unit / MEBIBYTE


def test_peak_memory_does_not_grow_with_the_length() -> None:
    short, long = peak_mebibytes(SHORT), peak_mebibytes(LONG)
    # The results and checkpoints alone grow: one norm for each step, one state in 64.
    assert long - short < STATES / 2, f"{short:.0f} MiB at {SHORT} steps, {long:.0f} at {LONG}"
