"""A model's options and its training, as a line that says what a study file says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradprobe.reports.numbers import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_RECORDING = ("iterations", "validate_every", "record_every", "probe_at", "dtype")
_DEFAULTS: dict[str, Any] = {
    "momentum": 0.0,
    "weight_decay": 0.0,
    "penalty_weight": 0.0,
    "schedule": "constant",
    "warm_up": 0,
}


def hyper_parameters(specification: Mapping[str, Any]) -> str:
    """Return the options of the model and of its training, by the names of the study file.

    What only says how much is recorded is left out, and so is what is not set.  A user's own cell
    is named.

    Parameters
    ----------
    specification
        Of a cell.

    Examples
    --------
    >>> hyper_parameters({
    ...     "model": {"name": "lstm", "hidden_size": 8, "options": {"forget_bias": 1.0}},
    ...     "training": {"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.9,
    ...                  "gradient_clipping": None, "schedule": {"kind": "cosine"}},
    ... })
    'forget_bias 1; sgd, learning_rate 0.1, momentum 0.9, schedule cosine'
    """
    chosen = specification.get("model") or {}
    own = [printable(chosen.get("name"))] if chosen.get("source") else []
    options = chosen.get("options") or {}
    training = dict(specification.get("training") or {})
    optimizer = training.pop("optimizer", None)
    parts = [printable(optimizer)] if optimizer else []
    parts += [text for name in training if (text := _said(name, training[name]))]
    model = ", ".join(f"{printable(name)} {_written(value)}" for name, value in _flat(options))
    return "; ".join(part for part in (*own, model, ", ".join(parts)) if part)


def _said(name: str, value: object) -> str:
    if name in _RECORDING or value is None or value == _DEFAULTS.get(name, object()):
        return ""
    if isinstance(value, dict):
        inner = [f"{key} {_written(item)}" for key, item in _flat(value) if item is not None]
        kind = [part.removeprefix("kind ") for part in inner]
        return f"{printable(name)} {' '.join(kind)}" if inner else ""
    return f"{printable(name)} {_written(value)}"


def _flat(table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in table:
        value = table[name]
        if isinstance(value, dict):
            yield from ((f"{name} {inner}", item) for inner, item in _flat(value))
        else:
            yield str(name), value


def _written(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return printable(value)
