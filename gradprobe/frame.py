"""The tidy table: one row per measured value, the same columns for every probe.

======================  ===========  ===============================================================
column                  dtype        meaning
======================  ===========  ===============================================================
``model``               string       name or label of the model
``task``                string       where the inputs come from; missing for a caller's own tensor
``length``              Int64        T, the horizon that the value belongs to
``step``                Int64        t in 0 … T; T itself for an end-to-end quantity
``seed``                Int64        seed of the model's initialisation; missing for a caller's own
``iteration``           Int64        training iterations done; 0 = initialisation
``sequence``            Int64        which of the B sequences, from 0
``probe``               string       name of the probe
``quantity``            string       ``log_sigma``, ``log_norm_fro``, ``real``, ``imag``, …
``matrix``              string       ``end_to_end`` M_t = ∂s_t/∂s_0, ``tail`` ∂s_T/∂s_t,
                                     ``step`` J_t = ∂s_t/∂s_{t-1},
                                     ``step_minus_identity`` J_t − I,
                                     ``vector_field`` F_t = (J_t − I)/ε, ``input`` ∂h_T/∂x_t,
                                     ``parameter`` ∂h_T/∂θ, ``loss`` ∂L/∂h_t; missing for what is
                                     no matrix's, such as ‖h_t‖
``block``               string       ``state`` (all of s) or ``hidden`` (rows and columns of h);
                                     the name of θ for ``parameter``; ``layers.l`` for a layer
``rank``                Int64        index in a spectrum, from 1; missing for a scalar
``value``               float64      the value; norms and singular values as natural logarithms;
                                     NaN where nothing but rounding is left
``error``               float64      estimated absolute error of ``value``; inf = not determined
``resolved``            boolean      whether ``error`` is within the probe's tolerance
``method``              string       how step Jacobians were had: ``pointwise`` (a matrix product
                                     and a pointwise map), ``autograd_chunked``
                                     (automatic differentiation, many steps at once) or
                                     ``autograd_by_step`` (step by step: slower), each followed by
                                     ``_by_row`` if each row took a pass of its own;
                                     ``autograd_of_loss``: gradients that training itself computed
``dtype``               string       of the arithmetic: ``float64``, ``float32``, …
======================  ===========  ===============================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gradprobe.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SCHEMA_VERSION = 2
"""Version of the columns above; stored with every table, compared before tables are."""

COLUMNS: dict[str, str] = {
    "model": "string",
    "task": "string",
    "length": "Int64",
    "step": "Int64",
    "seed": "Int64",
    "iteration": "Int64",
    "sequence": "Int64",
    "probe": "string",
    "quantity": "string",
    "matrix": "string",
    "block": "string",
    "rank": "Int64",
    "value": "float64",
    "error": "float64",
    "resolved": "boolean",
    "method": "string",
    "dtype": "string",
}
"""The dtype of every column, in order."""


def rows(**columns: Any) -> pd.DataFrame:
    """Return rows of the table from arrays that broadcast against each other.

    Parameters
    ----------
    **columns
        Scalars or arrays by column name; what is not named is missing.  The arrays are broadcast to
        one shape and flattened in C order.

    Raises
    ------
    ArgumentError
        A name is not a column of the table.

    Examples
    --------
    >>> import numpy as np
    >>> table = rows(probe="singular_values", rank=np.arange(1, 3), value=np.array([0.5, -1.0]))
    >>> table[["probe", "rank", "value"]].to_dict("list")
    {'probe': ['singular_values', 'singular_values'], 'rank': [1, 2], 'value': [0.5, -1.0]}
    """
    unknown = sorted(set(columns) - set(COLUMNS))
    if unknown:
        raise ArgumentError(f"a row has the columns {', '.join(COLUMNS)}; got {', '.join(unknown)}")
    names = list(columns)
    arrays = np.broadcast_arrays(*(np.asarray(columns[name]) for name in names))
    flat = {name: array.reshape(-1) for name, array in zip(names, arrays, strict=True)}
    return conform(pd.DataFrame(flat))


def conform(table: pd.DataFrame) -> pd.DataFrame:
    """Return `table` with exactly the columns and dtypes of the schema, missing ones added as NA.

    Examples
    --------
    >>> import pandas as pd
    >>> list(conform(pd.DataFrame({"value": [1.0]})).columns) == list(COLUMNS)
    True
    """
    filled = table.reindex(columns=list(COLUMNS)).astype(COLUMNS)
    filled.attrs["schema_version"] = SCHEMA_VERSION
    return filled


def concatenate(tables: Sequence[pd.DataFrame], **constants: Any) -> pd.DataFrame:
    """Stack tables of the schema, and set the columns named in `constants` in every row.

    Examples
    --------
    >>> both = concatenate([rows(value=1.0), rows(value=2.0)], model="vanilla")
    >>> both["model"].tolist(), both["value"].tolist()
    (['vanilla', 'vanilla'], [1.0, 2.0])
    """
    stacked = (
        pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))
    )
    return conform(stacked.assign(**_columns(constants)))


def _columns(constants: Mapping[str, Any]) -> dict[str, Any]:
    return {name: pd.NA if value is None else value for name, value in constants.items()}
