"""How numbers and names are written: for people, never as NaN, with a real minus sign."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Sequence

MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EN DASH}"
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SUBSCRIPT = re.compile(r"(?<=[A-Za-z])_([Tt0])(?![A-Za-z0-9_])")
_CONTROL_PICTURES = 0x2400


def logarithm(value: float) -> str:
    """Write a natural logarithm with a precision that suits its size.

    Examples
    --------
    >>> [logarithm(x) for x in (-412.3, -41.23, 0.694, -0.0001, float("-inf"), float("nan"))]
    ['−412', '−41.2', '0.69', '0.00', '−∞', '–']
    """
    if not math.isfinite(value):
        return _not_finite(value)
    decimals = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", MINUS)


def power(value: float) -> Markup:
    """Write exp(`value`) as a power of e, in HTML.

    Examples
    --------
    >>> power(-412.3), power(float("-inf"))
    (Markup('e<sup>−412</sup>'), Markup('0'))
    """
    if value == -math.inf:
        return Markup("0")
    return Markup("e<sup>{}</sup>").format(logarithm(value))


def significant(value: float, digits: int = 2) -> str:
    """Write a number to some significant digits, small and large ones as powers of ten.

    Examples
    --------
    >>> [significant(x) for x in (0.1234, -0.0, 3.0, 1.2e-13, -4.56e7, 250.0)]
    ['0.12', '0', '3', '1.2×10⁻¹³', '−4.6×10⁷', '250']
    """
    if not math.isfinite(value):
        return _not_finite(value)
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
        text = f"{value:.{decimals}f}"
        return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", MINUS)
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa}×10{str(int(exponent)).translate(_SUPERSCRIPTS)}".replace("-", MINUS, 1)


def subscripts(formula: str) -> Markup:
    """Write ``s_T``, ``h_t``, ``s_0`` in HTML, with subscripts.

    Examples
    --------
    >>> str(subscripts("∂s_T/∂s_0 of <b>"))
    '∂s<sub>T</sub>/∂s<sub>0</sub> of &lt;b&gt;'
    """
    parts = _SUBSCRIPT.split(formula)
    return Markup("").join(
        Markup("<sub>{}</sub>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    )


def percent(part: float, whole: float) -> str:
    """Write `part` of `whole` as a percentage that is 0 or 100 only where it is exact.

    Examples
    --------
    >>> [percent(*pair) for pair in ((0, 8), (1, 3000), (1, 3), (2999, 3000), (8, 8))]
    ['0 %', '< 0.1 %', '33 %', '> 99.9 %', '100 %']
    """
    share = 100 * part / whole
    if 0 < share < 0.1:
        return "< 0.1 %"
    if 99.9 < share < 100:
        return "> 99.9 %"
    return f"{share:.0f} %" if share in (0, 100) or 10 <= share <= 99 else f"{share:.1f} %"


def seconds(value: float) -> str:
    """Write a duration.

    Examples
    --------
    >>> [seconds(x) for x in (0.024, 7.26, 88.0, 4000.0)]
    ['0.02 s', '7.3 s', '88 s', '1 h 7 min']
    """
    if not math.isfinite(value):
        return _not_finite(value)
    if value < 1:
        return f"{value:.2f} s"
    if value < 600:
        return f"{value:.{0 if value >= 10 else 1}f} s"
    hours, minutes = divmod(round(value / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def thousands(count: float) -> str:
    """Write a count with a comma after the thousands.

    Examples
    --------
    >>> thousands(50000), thousands(749.6)
    ('50,000', '750')
    """
    return f"{count:,.0f}" if math.isfinite(count) else _not_finite(count)


def plural(count: int, noun: str) -> str:
    """Write a count and its noun.

    Examples
    --------
    >>> plural(1, "seed"), plural(3, "seed")
    ('1 seed', '3 seeds')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def printable(name: object) -> str:
    r"""Return a name with characters that cannot be shown made visible; nothing is dropped.

    Control characters become their symbols, and lone surrogates, which no file can hold, become
    the replacement character.  HTML is *not* escaped here: the templates do that.

    Examples
    --------
    >>> printable("a\tb\x00"), printable("\ud800<b>")
    ('a␉b␀', '�<b>')
    """
    return "".join(_visible(character) for character in str(name)) or "(no name)"


def printable_lines(text: object) -> str:
    r"""Return a text of several lines as `printable` does each of them, tabs as spaces.

    Examples
    --------
    >>> printable_lines("a\tb\nc\x00")
    'a       b\nc␀'
    """
    lines = str(text).expandtabs().splitlines()
    return "\n".join(printable(line) if line else "" for line in lines)


def shorten(name: str, width: int) -> str:
    """Cut out the middle of a name that is longer than `width`: its ends tell it from others.

    Examples
    --------
    >>> shorten("antisymmetric, diffusion = 0.01", 20)
    'antisymmet…on = 0.01'
    """
    if len(name) <= width:
        return name
    tail = (width - 1) // 2
    return f"{name[: width - 1 - tail]}…{name[-tail:]}"


def series_name(name: object) -> Markup:
    """Write the name of a series in a sentence; it is escaped, and keeps its own direction.

    Examples
    --------
    >>> series_name("<b>")
    Markup('<b class="series"><bdi>&lt;b&gt;</bdi></b>')
    """
    return Markup('<b class="series"><bdi>{}</bdi></b>').format(printable(name))


def listing(parts: Sequence[Markup], separator: str = ", ") -> Markup:
    """Join the parts of a sentence.

    Examples
    --------
    >>> str(listing([Markup("a"), Markup("b"), Markup("c")]))
    'a, b and c'
    """
    if len(parts) < 2 or separator != ", ":
        return escape(separator).join(parts)
    return Markup("{} and {}").format(escape(separator).join(parts[:-1]), parts[-1])


def names_listed(names: Sequence[object]) -> Markup:
    """Join names of series, by semicolons where one of them has a comma.

    Examples
    --------
    >>> print(names_listed(["LSTM, forget bias 1", "GRU"]).striptags())
    LSTM, forget bias 1; GRU
    """
    comma = any("," in str(name) for name in names)
    return listing([series_name(name) for name in names], "; " if comma else ", ")


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cc":
        code = ord(character)
        return chr(_CONTROL_PICTURES + code) if code < 0x20 else "\N{SYMBOL FOR DELETE}"
    return (
        "\N{REPLACEMENT CHARACTER}"
        if category == "Cs" or character in "\ufffe\uffff"
        else character
    )


def _not_finite(value: float) -> str:
    if math.isnan(value):
        return NOTHING
    return "∞" if value > 0 else f"{MINUS}∞"
