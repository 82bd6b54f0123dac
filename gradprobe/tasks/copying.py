"""The copying memory problem."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from gradprobe import checks
from gradprobe.tasks.synthetic import SyntheticTask

if TYPE_CHECKING:
    import torch
    from torch import Generator, Tensor

SYMBOLS = 8
BLANK = 8
DELIMITER = 9
REMEMBERED = 10
"""How many symbols are to be remembered."""


class Copying(SyntheticTask):
    r"""Ten symbols to be repeated after a delay: delay + 20 steps of 10 features, 9 classes.

    The inputs are one-hot: 10 symbols, each uniform among 8; `delay` − 1 blanks; a delimiter; 10
    blanks.  The answer is blank for delay + 10 steps, then the 10 symbols in their order; every
    step is read.  A predictor without memory can do no better than blanks and then guesses, with
    the mean cross-entropy :math:`10 \ln 8 / (\text{delay} + 20)`.

    Parameters
    ----------
    delay
        T of the papers, at least 1.

    Raises
    ------
    ArgumentError
        `delay` is not a positive integer.

    References
    ----------
    Hochreiter, Schmidhuber, "Long Short-Term Memory" (1997); in this form Arjovsky, Shah, Bengio,
    "Unitary Evolution Recurrent Neural Networks" (ICML 2016), and their code.

    Examples
    --------
    >>> task = Copying(delay=100)
    >>> task.length, task.input_size, task.output_size, round(task.baseline_loss, 4)
    (120, 10, 9, 0.1733)
    """

    name: ClassVar[str] = "copying"
    number_of_classes: ClassVar[int] = SYMBOLS + 1

    def __init__(self, delay: int = 1000) -> None:
        self.delay = checks.positive_integer("delay", delay)
        self.length = delay + 2 * REMEMBERED
        self.input_size = SYMBOLS + 2

    @property
    def readout_steps(self) -> int:
        """All of them."""
        return self.length

    @property
    def baseline_loss(self) -> float:
        """10 ln 8 / (delay + 20), in nats."""
        return REMEMBERED * math.log(SYMBOLS) / self.length

    @property
    def provenance(self) -> str:
        """What is drawn, and from what."""
        return (
            f"Copying problem, {REMEMBERED} of {SYMBOLS} symbols over {self.delay} steps; "
            f"{self._drawn}."
        )

    def _draw(self, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
        import torch  # noqa: PLC0415 - a task is described without torch, drawn with it

        symbols = torch.randint(SYMBOLS, (REMEMBERED, count), generator=generator)
        tokens = self._blanks(count)
        tokens[:REMEMBERED] = symbols
        tokens[REMEMBERED + self.delay - 1] = DELIMITER
        targets = self._blanks(count)
        targets[-REMEMBERED:] = symbols
        return torch.nn.functional.one_hot(tokens, self.input_size).to(torch.float32), targets

    def _blanks(self, count: int) -> torch.Tensor:
        import torch  # noqa: PLC0415 - a task is described without torch, drawn with it

        return torch.full((self.length, count), BLANK)
