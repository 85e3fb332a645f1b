"""Ids as people hand them in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Union

Ids = Union[str, int, Iterable[Any]]


def one(value: Any) -> str:
    """An id as text."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        raise TypeError(f"an id is text or a whole number, not {value!r}")
    if hasattr(value, "as_py"):  # a scalar of Arrow
        return one(value.as_py())
    if hasattr(value, "__index__"):
        return str(value.__index__())
    if isinstance(value, float) and value.is_integer():
        raise TypeError(f"an id is text or a whole number, not {value!r}; convert the column to integers first")
    raise TypeError(f"an id is text or a whole number, not {value!r}")


def many(values: Ids) -> list[str]:
    """Ids as a list of text; a single one is a list of one."""
    if isinstance(values, (str, int)) or not isinstance(values, Iterable):
        return [one(values)]
    return [one(value) for value in values]


def optional(values: Ids | None) -> list[str] | None:
    """The same, or none."""
    return None if values is None else many(values)
