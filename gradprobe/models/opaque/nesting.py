"""Tensors, or anything else, nested in tuples, lists and dicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def parts_of(value: object) -> list[Any] | None:
    """Return what a tuple, list or dict holds, or None for a leaf; a ``torch.Size`` is a leaf."""
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, tuple | list) and not isinstance(value, torch.Size):
        return list(value)
    return None


def leaves_of(value: object) -> Iterator[Any]:
    """Yield the leaves, in order.

    Examples
    --------
    >>> list(leaves_of((1, [2, {"a": 3}])))
    [1, 2, 3]
    """
    parts = parts_of(value)
    if parts is None:
        yield value
    else:
        for part in parts:
            yield from leaves_of(part)


def map_leaves(function: Callable[[Any], Any], value: object) -> Any:
    """Return the same nesting with `function` applied to every leaf, in order.

    Examples
    --------
    >>> map_leaves(str, (1, [2, {"a": 3}]))
    ('1', ['2', {'a': '3'}])
    """
    parts = parts_of(value)
    if parts is None:
        return function(value)
    mapped = [map_leaves(function, part) for part in parts]
    if isinstance(value, dict):
        return dict(zip(value, mapped, strict=True))
    if hasattr(value, "_fields"):  # a named tuple
        return type(value)(*mapped)
    return tuple(mapped) if isinstance(value, tuple) else mapped


def same_nesting(a: object, b: object) -> bool:
    """Return whether two values are nested alike, whatever their leaves are.

    Examples
    --------
    >>> same_nesting((1, [2]), (None, ["x"])), same_nesting((1, [2]), (1, (2,)))
    (True, False)
    """
    first, second = parts_of(a), parts_of(b)
    if first is None or second is None:
        return first is second
    alike = type(a) is type(b) and len(first) == len(second)
    if isinstance(a, dict) and isinstance(b, dict):
        alike = alike and list(a) == list(b)
    return alike and all(same_nesting(x, y) for x, y in zip(first, second, strict=True))


def text_of(value: object) -> str:
    """Return the nesting as text, with `str` of every leaf.

    Examples
    --------
    >>> text_of(("(B, 3)", ["(B, 2)"]))
    '((B, 3), [(B, 2)])'
    """
    parts = parts_of(value)
    if parts is None:
        return str(value)
    texts = [text_of(part) for part in parts]
    if isinstance(value, dict):
        pairs = zip(value, texts, strict=True)
        return "{" + ", ".join(f"{key!r}: {text}" for key, text in pairs) + "}"
    inside = ", ".join(texts)
    return f"({inside})" if isinstance(value, tuple) else f"[{inside}]"
