"""What changed between results, in words: sentences that are computed from the numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup, escape

from gradprobe.gate.metric import place
from gradprobe.reports.changes import LEVEL, Direction, Noise, smallest_chance
from gradprobe.reports.numbers import (
    listing,
    names_listed,
    plural,
    printable,
    series_name,
    significant,
    subscripts,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gradprobe.gate.metric import Name
    from gradprobe.reports.changes import Change, Changes, Spread

MOST_SENTENCES = 12
"""So many models by task are told one by one; the table has all of them."""

_ONE_SEED = Markup("{} changed at the one seed, so that the noise is not known")
_QUANTITIES = {
    "log_sigma": "log σ",
    "log_norm_fro": "log norm (Frobenius)",
    "log_norm_spectral": "log norm (spectral)",
    "log_growth": "log growth",
    "log_modulus": "log |λ|",
    "lyapunov_exponent": "Lyapunov exponent",
    "real": "Re λ",
    "imag": "Im λ",
    "real_max": "largest Re λ",
    "real_mean": "mean Re λ",
    "real_std": "standard deviation of Re λ",
    "diverged_at": "iteration of divergence",
}
_MATRICES = {
    "end_to_end": "∂s_T/∂s_0",
    "tail": "∂s_T/∂s_t",
    "step": "J_t",
    "step_minus_identity": "J_t − I",
    "vector_field": "F_t",
    "input": "∂h_T/∂x_t",
    "parameter": "∂h_T/∂θ",
    "loss": "∂L/∂h_t",
}


class ChangesAnswer(NamedTuple):
    """What leads, a sentence a model by task, what else is to say, and the criterion."""

    lead: Markup
    models: list[Markup]
    others: list[Markup]
    criterion: Markup


def told(
    changes: Changes,
    before: str,
    after: str,
    verdicts: Mapping[str, tuple[str, str]] | None = None,
) -> ChangesAnswer:
    """Return the sentences: what got worse most comes first.

    Parameters
    ----------
    changes
        Of `gradprobe.reports.changes.changes`.
    before, after
        What the two results are called.
    verdicts
        By model, what becomes of its gradient before and after, in words, where these differ.

    Examples
    --------
    >>> from gradprobe import frame
    >>> from gradprobe.reports.changes import changes
    >>> one, other = (
    ...     frame.rows(model="GRU", task="digits", probe="training", quantity="test_loss",
    ...                iteration=1, seed=range(3), value=[value + 0.01 * k for k in range(3)])
    ...     for value in (1.0, 2.0)
    ... )
    >>> answer = told(changes(one, other), "main", "branch")
    >>> print(answer.lead.striptags())
    Of 2 quantities, 1 changed by more than its values differ between seeds, for the worse; 1 is
    unchanged.
    >>> print(answer.models[0].striptags())
    GRU on digits: test loss went from 1.01 (1 … 1.02 over 3 seeds) to 2.01 (2 … 2.02 over 3
    seeds), by +1 at every seed; for the worse.
    """
    ranked = by_rank(changes.found)
    groups: dict[str, list[Change]] = {}
    for change in ranked:
        if change.noise not in {Noise.EQUAL, Noise.NOT_JUDGED}:
            groups.setdefault(change.name.place, []).append(change)
    sentences = [_sentence(name, group) for name, group in groups.items()]
    hidden = len(sentences) - MOST_SENTENCES
    others = [
        *_verdicts(verdicts or {}),
        Markup("{} more changed less; the table has them.").format(plural(hidden, "model"))
        if hidden > 0
        else Markup(""),
        _not_judged([change for change in changes.found if change.noise is Noise.NOT_JUDGED]),
        _one_sided(changes.only_before, before),
        _one_sided(changes.only_after, after),
    ]
    return ChangesAnswer(
        _lead(changes.found),
        sentences[:MOST_SENTENCES],
        [sentence for sentence in others if sentence],
        _criterion(changes.found),
    )


def by_rank(found: Iterable[Change]) -> list[Change]:
    """Return changes in the order in which they matter: beyond the noise, for the worse, by size.

    Examples
    --------
    >>> by_rank([])
    []
    """
    noises, directions = list(Noise), list(Direction)
    return sorted(
        found,
        key=lambda change: (
            noises.index(change.noise),
            directions.index(change.direction),
            -change.size,
            change.name.order(),
        ),
    )


def quantity_in_words(name: Name) -> str:
    """Return what a quantity is called in a sentence.

    Examples
    --------
    >>> from gradprobe.gate.example import NAME
    >>> quantity_in_words(NAME)
    'log σ of ∂s_T/∂s_0, largest, T = 8'
    """
    words = _QUANTITIES.get(name.quantity, name.quantity.replace("_", " "))
    if name.matrix is not None:
        words += f" of {_MATRICES.get(name.matrix, name.matrix)}"
    if name.matrix == "parameter" and name.block:
        words += f", θ = {name.block}"
    statistic = name.statistic.removesuffix(", at the end")
    parts = [statistic] if statistic not in {"at the end", "last value"} else []
    return ", ".join([words, *parts, *([name.when] if name.when else [])])


def spread_in_words(spread: Spread) -> str:
    """Return a median with its range.

    Examples
    --------
    >>> from gradprobe.reports.changes import Spread
    >>> spread_in_words(Spread(-1.0, -2.0, 0.5, 3)), spread_in_words(Spread(1.0, 1.0, 1.0, 1))
    ('−1 (−2 … 0.5 over 3 seeds)', '1 (1 seed)')
    """
    middle = significant(spread.median, 4)
    over = plural(spread.seeds, "seed")
    if spread.seeds < 2:
        return f"{middle} ({over})"
    return f"{middle} ({significant(spread.low, 4)} … {significant(spread.high, 4)} over {over})"


def difference_in_words(change: Change) -> str:
    """Return by how much a quantity changed, with the range over seeds where these are common.

    Examples
    --------
    >>> from gradprobe.gate.example import NAME
    >>> from gradprobe.reports.changes import Change, Spread
    >>> sides = Spread(1.0, 1.0, 1.0, 2), Spread(3.0, 2.0, 4.0, 2), Spread(2.0, 1.0, 3.0, 2)
    >>> difference_in_words(Change(NAME, Noise.APART, Direction.WORSE, *sides, math.nan))
    '+2 (+1 … +3, seed by seed)'
    """
    difference = change.difference
    middle = signed(difference.median)
    if difference.seeds < 2:
        return middle
    low, high = signed(difference.low), signed(difference.high)
    return f"{middle} at every seed" if low == high else f"{middle} ({low} … {high}, seed by seed)"


def signed(value: float) -> str:
    """Write a difference with its sign.

    Examples
    --------
    >>> signed(0.25), signed(-12.0), signed(0.0)
    ('+0.25', '−12', '0')
    """
    text = significant(value, 3)
    return f"+{text}" if value > 0 else text


def _lead(found: Sequence[Change]) -> Markup:
    counts = {noise: sum(change.noise is noise for change in found) for noise in Noise}
    beyond = [change for change in found if change.matters]
    parts: list[Markup] = []
    if beyond:
        own = "its" if len(beyond) == 1 else "their"
        measure = (
            "beyond the noise between seeds"
            if counts[Noise.BEYOND]
            else f"by more than {own} values differ between seeds"
        )
        parts.append(Markup("{} changed {}, {}").format(len(beyond), measure, _ways(beyond)))
    if counts[Noise.WITHIN]:
        parts.append(Markup("{} changed within it").format(counts[Noise.WITHIN]))
    if counts[Noise.ONE_SEED]:
        parts.append(_ONE_SEED.format(counts[Noise.ONE_SEED]))
    if counts[Noise.EQUAL]:
        verb = "is" if counts[Noise.EQUAL] == 1 else "are"
        parts.append(Markup("{} {} unchanged").format(counts[Noise.EQUAL], verb))
    if counts[Noise.NOT_JUDGED]:
        parts.append(Markup("{} could not be judged").format(counts[Noise.NOT_JUDGED]))
    if counts[Noise.EQUAL] == len(found):
        return Markup("Nothing changed: all {} quantities are equal, up to rounding.").format(
            len(found)
        )
    start = Markup("Of {}, ").format(_quantities(len(found)))
    if not beyond:
        start = Markup("Nothing changed beyond the noise between seeds. ") + start
    return start + listing(parts, "; ") + "."


def _ways(changes: Sequence[Change]) -> str:
    counts = {way: sum(change.direction is way for change in changes) for way in Direction}
    words = {
        Direction.WORSE: "for the worse",
        Direction.BETTER: "for the better",
        Direction.NEITHER: "in a way that is neither better nor worse",
    }
    present = [way for way in Direction if counts[way]]
    if len(present) == 1:
        return words[present[0]]
    return ", ".join(f"{counts[way]} {words[way]}" for way in present)


def _sentence(place: str, group: Sequence[Change]) -> Markup:
    """Tell the change that matters most, and count the others of the same model and task."""
    first = group[0]
    ways = {
        Direction.WORSE: "for the worse",
        Direction.BETTER: "for the better",
        Direction.NEITHER: "neither better nor worse",
    }
    text = Markup("{}: {} went from {} to {}, by {}; {}{}.").format(
        series_name(place),
        subscripts(printable(quantity_in_words(first.name))),
        spread_in_words(first.before),
        spread_in_words(first.after),
        difference_in_words(first),
        ways[first.direction],
        _caution(first),
    )
    return text + _rest(first, group[1:]) if len(group) > 1 else text


def _rest(first: Change, others: Sequence[Change]) -> Markup:
    """Say how the other quantities of the same model and task changed."""
    beyond = [change for change in others if change.matters]
    count = len(others)
    what = "the other quantity" if count == 1 else f"the {count} others"
    if not first.matters:
        return Markup(" Of what else changed there, nothing did more.")
    if not beyond:
        return Markup(" Of what else changed there, {} did so within the noise.").format(what)
    if len(beyond) == count:
        return Markup(" Of what else changed there, {} did so beyond it too, {}.").format(
            what, _ways(beyond)
        )
    return Markup(" Of {} that changed there, {} did so beyond it too, {}.").format(
        what, len(beyond), _ways(beyond)
    )


def _quantities(count: int) -> str:
    return f"{count} quantity" if count == 1 else f"{count} quantities"


def _caution(change: Change) -> str:
    if not math.isnan(change.chance):
        chance = significant(change.chance, 2)
        return f" (p = {chance} over all quantities)"
    if change.noise is Noise.WITHIN:
        return "; the ranges over seeds overlap"
    return ""


def _verdicts(verdicts: Mapping[str, tuple[str, str]]) -> list[Markup]:
    groups: dict[tuple[str, str], list[str]] = {}
    for name, pair in verdicts.items():
        groups.setdefault(pair, []).append(name)
    return [
        Markup("In {}, the verdict on the gradient changes from “{}” to “{}”.").format(
            names_listed(names) if len(names) <= MOST_SENTENCES else plural(len(names), "model"),
            *pair,
        )
        for pair, names in groups.items()
    ]


def _not_judged(changes: Sequence[Change]) -> Markup:
    groups: dict[str, list[Change]] = {}
    for change in changes:
        groups.setdefault(change.reason, []).append(change)
    parts = [
        Markup("{} {}, in {}").format(
            _quantities(len(group)), reason, _places([change.name for change in group])
        )
        for reason, group in groups.items()
    ]
    return Markup("Not judged: {}.").format(listing(parts, "; ")) if parts else Markup("")


def _one_sided(names: Sequence[Name], where: str) -> Markup:
    if not names:
        return Markup("")
    return Markup("Only <bdi>{}</bdi> has {}, of {}; nothing is concluded from that.").format(
        printable(where), _quantities(len(names)), _places(names)
    )


def _places(names: Sequence[Name]) -> Markup:
    places = list(dict.fromkeys(place(name.model, name.task) for name in names))
    return names_listed(places) if len(places) <= 5 else escape(plural(len(places), "model"))


def _criterion(found: Sequence[Change]) -> Markup:
    counts = {
        (change.before.seeds, change.after.seeds)
        for change in found
        if change.noise not in {Noise.EQUAL, Noise.NOT_JUDGED}
    }
    if not counts:
        return Markup("")
    few = min(counts, key=min)
    text = Markup(
        "A quantity is unchanged if its values agree, at every common seed, to the tolerance of "
        "<code>gradprobe check</code>. Otherwise it is <i>beyond the noise</i> if chance makes as "
        "great a difference in any of the quantities with a probability of at most {} % "
        "(permutations of the seeds, all quantities together). Worse means: farther from a "
        "gradient that keeps its size, less accurate, a greater loss."
    ).format(f"{100 * LEVEL:.0f}")
    if smallest_chance(*few) > LEVEL:
        text += Markup(
            " {} and {} seeds are too few for that test; then it is told whether the ranges over "
            "seeds overlap, which chance prevents in one quantity with a probability of {}."
        ).format(*few, significant(smallest_chance(*few), 2))
    return text
