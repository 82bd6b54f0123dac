"""Files of cells as users write them, studies of them, and an engine without other processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from gradprobe.studies.reading import parse_study

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gradprobe.studies.engines.base import Begun
    from gradprobe.studies.schema import Study

MYCELLS = '''\
"""Cells of somebody who has never seen gradprobe, and one who has."""

import torch

from parts import affine
from gradprobe.models import Cell


class Plain(torch.nn.Module):
    """The vanilla network, drawn in the order in which gradprobe draws its own."""

    def __init__(self, input_size, hidden_size, scale=1.0):
        super().__init__()
        n, d = hidden_size, input_size
        self.recurrent = torch.nn.Parameter(torch.randn(n, n) * scale * n**-0.5)
        self.input = torch.nn.Parameter(torch.randn(n, d) * d**-0.5)
        self.bias = torch.nn.Parameter(torch.zeros(n))

    def forward(self, x, h):
        return torch.tanh(affine(self, x, h))


class Stumbling(Plain):
    def forward(self, x, h):
        if self.training and torch.is_grad_enabled() and len(x) == 20:
            raise RuntimeError("I trip over batches of 20")
        return super().forward(x, h)


class Ours(Cell):
    """The same by gradprobe's contract."""

    def __init__(self, input_size, hidden_size, *, initialiser):
        super().__init__(input_size, hidden_size)
        n, d = hidden_size, input_size
        self.weight = initialiser.normal(n, n, standard_deviation=n**-0.5)
        self.input_weight = initialiser.normal(n, d, standard_deviation=d**-0.5)
        self.bias = initialiser.constant(n)

    def recurrent_matrix(self):
        return self.weight

    def input_matrix(self):
        return self.input_weight

    def drive_bias(self):
        return self.bias

    def pointwise(self, state, recurrent, drive, unit_parameters):
        return torch.tanh(recurrent + drive)
'''

PARTS = """\
def affine(cell, x, h):
    return h @ cell.recurrent.T + x @ cell.input.T + cell.bias
"""


class InThisProcess:
    """An engine that calls at once, and so finds what is wrong with calls without waiting."""

    count = 1

    def __init__(self) -> None:
        self._answers: list[tuple[int, Any]] = []
        self._submitted = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def submit(self, function: Callable[..., Any], place: str, *arguments: Any) -> int:
        self._submitted += 1
        self._answers.append((self._submitted, function(place, *arguments)))
        return self._submitted

    def wait(self, seconds: float) -> list[tuple[int, Any]]:
        answers, self._answers = self._answers, []
        return answers

    def begun(self, ticket: int) -> Begun | None:
        return None

    def cancel(self, ticket: int) -> None:
        pass

    def ask_to_stop(self) -> None:
        pass


STUDY = """\
name = "own"
question = "Does it learn what the vanilla network learns?"

[[tasks]]
name = "digits_rows"

[grid]
seeds = [0, 1]
sequences = 1

[training]
optimizer = "adam"
learning_rate = 0.01
batch_size = 20
iterations = 12
validate_every = 6
record_every = 3
probe_at = [0, "end"]
dtype = "float64"

[[models]]
label = "Plain"
name = "mycells:Plain"
hidden_size = 10
only = ["digits_rows"]

[[models]]
label = "Ours"
name = "mycells:Ours"
hidden_size = 10

[[models]]
label = "vanilla"
name = "vanilla"
hidden_size = 10

[[models]]
label = "Stumbling"
name = "mycells:Stumbling"
hidden_size = 10

[probes.gradient_norm]
[probes.singular_values]
"""


def written(folder: Path, mycells: str = MYCELLS) -> list[Path]:
    files = {folder / "mycells.py": mycells, folder / "parts.py": PARTS}
    for path, text in files.items():
        path.write_text(text)
    return list(files)


def own_study(text: str = STUDY) -> Study:
    return parse_study(text, "own.toml")


def one_model(name: str, options: str = "", *, training: bool = False) -> Study:
    """Return a study of one model, which is measured at initialisation if it is not trained."""
    head, _, rest = STUDY.partition("[[models]]")
    if not training:
        head = head.partition("[training]")[0]
    model = f'label = "Mine"\nname = "{name}"\nhidden_size = 10\n{options}\n'
    return own_study(f"{head}[[models]]\n{model}{rest[rest.index('[probes') :]}")
