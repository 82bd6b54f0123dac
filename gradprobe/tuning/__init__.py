"""Ranking initialisations by what probes say of them, before any training.

Why this score.  What a training starts from must do two things: the last state must tell apart what
the task tells apart, and the gradient must find its way back to the first step.

- *Isometry alone is a trap.*  With σ_w = 0 a network adds its inputs up: every singular value of
  the end-to-end Jacobian stays near one, and the order of the inputs is lost.  So the Jacobian only
  bounds: where log σ_max is far from 0, the gradient of the first steps is drowned or drowns all
  others (`ranking.BOUND` says how far, and why).
- *Separation alone is a trap, too.*  Noise among the inputs spreads the states, and raises their
  effective rank, as well as what matters does.  So the score looks at the targets: it is the share
  of their variance that a linear readout of the untrained last states explains, each sequence being
  told from the others.  Chaotic states are far apart and of full rank, but do not generalise: they
  score 0.
- *Scale counts.*  What stands in directions of little variance takes large readout weights, and
  gradient descent takes long to grow them; the readout's penalty leaves it out.

Its limits.  The score is that of a network whose recurrent weights stay as they are.  Where no
candidate's untrained state tells anything, as after much noise, all scores are near 0 and the order
means little: look at the intervals.  A readout is linear, so that features it cannot use count for
nothing, although training may bend them.  The penalty stands for a training of some length, and the
bound for one of some number of examples; the scores of models of different width, or of different
tasks, are not comparable.  How well it did is told in ``reports/tuning``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe._lazy import lazy_names

if TYPE_CHECKING:
    from gradprobe.tuning.component_table import components as components
    from gradprobe.tuning.ranking import BOUND as BOUND
    from gradprobe.tuning.ranking import rank as rank
    from gradprobe.tuning.wording import as_text as as_text
    from gradprobe.tuning.wording import suggestion as suggestion

_PLACES = {
    "BOUND": "gradprobe.tuning.ranking",
    "as_text": "gradprobe.tuning.wording",
    "components": "gradprobe.tuning.component_table",
    "rank": "gradprobe.tuning.ranking",
    "suggestion": "gradprobe.tuning.wording",
}

__all__ = ["BOUND", "as_text", "components", "rank", "suggestion"]

__getattr__ = lazy_names(__name__, _PLACES)


def __dir__() -> list[str]:
    return sorted(__all__)
