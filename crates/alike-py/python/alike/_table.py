"""Tables that come back."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _native

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

_SHOWN = 20


class Table:
    """A table in Arrow's layout: `pyarrow.table(t)`, `polars.DataFrame(t)` and DuckDB take it without a copy."""

    def __init__(self, native: _native.Table, titles: Mapping[str, str | None] | None = None) -> None:
        self._native = native
        self._titles = titles or {}

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return self._native.columns

    def __len__(self) -> int:
        return len(self._native)

    def __getitem__(self, column: str) -> Any:
        """A column: a list of text, or a NumPy array of numbers. KeyError for a name that is not there."""
        return self._native.column(column)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The rows, as dictionaries."""
        names = self.columns
        for row in zip(*(_plain(self[name]) for name in names), strict=True):
            yield dict(zip(names, row, strict=True))

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._native.__arrow_c_stream__(requested_schema)

    def to_dict(self) -> dict[str, Any]:
        """The columns by name."""
        return {name: self[name] for name in self.columns}

    def to_arrow(self) -> pyarrow.Table:
        """As a `pyarrow.Table`, without a copy."""
        import pyarrow

        return pyarrow.table(self)

    def to_polars(self) -> polars.DataFrame:
        """As a `polars.DataFrame`, without a copy of numbers."""
        import polars

        return polars.DataFrame(self)

    def to_pandas(self) -> pandas.DataFrame:
        """As a `pandas.DataFrame`."""
        import pandas

        return pandas.DataFrame(self.to_dict())

    def __repr__(self) -> str:
        return f"<alike.Table: {len(self)} rows of {', '.join(self.columns)}>"

    def _repr_html_(self) -> str:
        columns = self.to_dict()
        names = list(columns)
        titled = bool(self._titles) and "item" in columns
        head = "".join(f"<th>{html.escape(name)}</th>" for name in [*names, *(["title"] if titled else [])])
        rows = []
        for at in range(min(len(self), _SHOWN)):
            cells = [_cell(columns[name][at]) for name in names]
            if titled:
                cells.append(self._titles.get(columns["item"][at]) or "")
            rows.append("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells) + "</tr>")
        more = f"<p>{len(self) - _SHOWN} more rows</p>" if len(self) > _SHOWN else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>{more}"


def _plain(column: Any) -> Sequence[Any]:
    values: Sequence[Any] = column.tolist() if isinstance(column, np.ndarray) else column
    return values


def _cell(value: Any) -> object:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, (float, np.floating)) else value
