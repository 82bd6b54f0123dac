"""What the fixture ``gradprobe_check`` does."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from gradprobe.errors import ArgumentError, GradprobeError
from gradprobe.gate import Baseline, FailOn, Measured, compare, read_baseline, write_baseline
from gradprobe.gate.outputs.terminal import print_comparison
from gradprobe.probes import probe
from gradprobe.probes.probing import DEFAULT_PROBES
from gradprobe.studies.grid import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pandas as pd
    from torch import Tensor


@dataclass
class ModelCheck:
    """Holds models to baselines that lie beside the test.

    Attributes
    ----------
    folder
        Where the baselines lie.
    test
        The test's name, from which the file's is made.
    update
        Whether to write the baselines instead.
    drawings
        Gives a folder for figures.

    Examples
    --------
    >>> import tempfile, torch
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> lstm, inputs = torch.nn.LSTM(1, 4), torch.ones(8, 1, 1)
    >>> ModelCheck(folder, "test_lstm", True, lambda: folder)(lstm, inputs)
    >>> ModelCheck(folder, "test_lstm", False, lambda: folder)(lstm, inputs)
    >>> [path.name for path in folder.iterdir()]
    ['test_lstm.json']
    """

    folder: Path
    test: str
    update: bool
    drawings: Callable[[], Path]
    _used: set[str] = field(default_factory=set)

    def __call__(
        self,
        model: Callable[..., object],
        inputs: Tensor,
        *,
        probes: Sequence[str] | Mapping[str, Mapping[str, Any]] = DEFAULT_PROBES,
        lengths: Sequence[int] | None = None,
        fail_on: str = "regression",
        name: str | None = None,
    ) -> None:
        """Measure `model`, and fail the test if it is worse than approved.

        Parameters
        ----------
        model, inputs, probes, lengths
            As for `gradprobe.probe`.
        fail_on
            ``"regression"``, or ``"changed"``: then any other value fails.
        name
            Of the baseline, for a test that checks several models; the test's if not given.

        Raises
        ------
        ArgumentError
            Two checks of a test have the same name.
        """
        path = self.folder / f"{self._file_name(name)}.json"
        choice = {"probes": _as_options(probes), "lengths": lengths and list(lengths)}
        table = probe(model, inputs, probes, lengths)
        setting = digest({**choice, "inputs": list(inputs.shape)})
        measured = Measured.of_table(table, {self.test: {"": setting}})
        if self.update:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_baseline(Baseline.of(measured), path)
            return
        self._judge(path, measured, table, FailOn(fail_on))

    def _judge(self, path: Path, measured: Measured, table: pd.DataFrame, fail_on: FailOn) -> None:
        if not path.exists():
            pytest.fail(
                f"{path}: there is no baseline; look at what is measured, then approve it with "
                "pytest --gradprobe-update, and commit the file",
                pytrace=False,
            )
        try:
            comparison = compare(read_baseline(path), measured)
        except GradprobeError as error:
            pytest.fail(str(error), pytrace=False)
        if comparison.exit_code(fail_on) == 0:
            return
        text = io.StringIO()
        print_comparison(comparison, fail_on, text)
        text.write(f"baseline: {path}\n{self._drawing(table)}")
        text.write("to approve what was measured: pytest --gradprobe-update\n")
        pytest.fail(text.getvalue(), pytrace=False)

    def _drawing(self, table: pd.DataFrame) -> str:
        """Draw how the gradient decays, if that was measured, and say where."""
        if "gradient_norm" not in set(table["probe"]):
            return ""
        from gradprobe.reports import figures  # noqa: PLC0415 - draws only what fails
        from gradprobe.reports.series import with_series  # noqa: PLC0415

        path = self.drawings() / "gradient_norm.svg"
        figures.gradient_norm(with_series(table)).savefig(path)
        return f"decay of the gradient: {path}\n"

    def _file_name(self, name: str | None) -> str:
        wanted = re.sub(r"[^\w.-]+", "-", self.test if name is None else name).strip("-.")
        if wanted in self._used:
            raise ArgumentError(
                f"two checks of {self.test} are called {wanted!r}; give each its own name="
            )
        self._used.add(wanted)
        return wanted


def _as_options(probes: Sequence[str] | Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    if isinstance(probes, str):
        raise ArgumentError(f"probes must be a list of names or a mapping, got {probes!r}")
    if isinstance(probes, Mapping):
        return {name: dict(options) for name, options in probes.items()}
    return {name: {} for name in probes}
