"""Columns of further values, one value a word: what gensim calls expandos."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[Any]


def dtype_of(value: object) -> npt.DTypeLike:
    """The type that holds a value: int64, float64, bool, a numpy type of numbers, or object."""
    if isinstance(value, np.generic) and value.dtype.kind not in "US":  # which would cut off what is longer
        return value.dtype
    kinds: dict[type, type] = {bool: np.bool_, int: np.int64, float: np.float64}
    return kinds.get(type(value), object)


_DTYPES: dict[str, npt.DTypeLike] = {"count": np.int64, "lockf": np.float32}
"""Of values that files, sorting and training rely on, whatever the first one is."""


def default_of(name: str) -> int:
    """What words have that were given no value: 0; of lock factors 1, which locks nothing."""
    return 1 if name == "lockf" else 0


def new_column(name: str, dtype: npt.DTypeLike, rows: int) -> Column:
    """Values of a type for words that were given none, [rows]."""
    return grown(np.zeros(0, dtype=_DTYPES.get(name, dtype)), rows, default_of(name))


def require_fitting(column: Column, values: object, name: str) -> None:
    """Raises TypeError where values would change by being put into a column, as 0.5 into whole numbers."""
    found = np.asarray(values).dtype
    if column.dtype != object and not np.can_cast(found, column.dtype, casting="same_kind"):
        raise TypeError(f"attribute {name!r}: expected {column.dtype}, as its other values are, found {found}")


def grown(column: Column, rows: int, default: int = 0) -> Column:
    """The column with the default after it, [rows]."""
    longer = np.zeros(rows, dtype=column.dtype)
    longer[: len(column)] = column
    if default:
        longer[len(column) :] = default
    return longer


def as_column(values: npt.ArrayLike, rows: int, name: str) -> Column:
    """Values as a column [rows].

    Raises:
        ValueError: there are not so many.
    """
    column: Column = np.asarray(values)
    if column.dtype.kind in "US":
        column = column.astype(object)
    if column.shape != (rows,):
        raise ValueError(f"attribute {name!r}: expected shape [{rows}], one a word, found {list(column.shape)}")
    return column
