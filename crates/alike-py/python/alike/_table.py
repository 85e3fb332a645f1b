"""Tables that come back."""

from __future__ import annotations

import base64
import html
import mimetypes
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _native

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

_SHOWN = 20
_LARGEST_PICTURE = 300_000


class Table:
    """A table in Arrow's layout: `pyarrow.table(t)`, `polars.DataFrame(t)` and DuckDB take it without a copy."""

    def __init__(self, native: _native.Table, data: _native.Data | None = None) -> None:
        self._native = native
        self._data = data

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
        shown = min(len(self), _SHOWN)
        more: dict[str, list[str]] = {}
        if self._data is not None:
            items = columns["similar" if "similar" in columns else "item"][:shown]
            more["title"] = [html.escape(self._data.title(item) or "") for item in items]
            more["picture"] = [_picture(self._data.image(item)) for item in items]
            more = {name: cells for name, cells in more.items() if any(cells)}
        head = "".join(f"<th>{html.escape(name)}</th>" for name in [*names, *more])
        rows = []
        for at in range(shown):
            cells = [html.escape(str(_cell(columns[name][at]))) for name in names]
            cells += [column[at] for column in more.values()]
            rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
        rest = f"<p>{len(self) - _SHOWN} more rows</p>" if len(self) > _SHOWN else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>{rest}"


def _picture(place: str | None) -> str:
    """A picture of the disk, within the page: it is shown wherever the page goes. Addresses are not asked for."""
    kind = mimetypes.guess_type(place or "")[0]
    if place is None or kind is None or not kind.startswith("image/") or not os.path.isfile(place):
        return ""
    if os.path.getsize(place) > _LARGEST_PICTURE:
        return ""
    with open(place, "rb") as file:
        content = base64.b64encode(file.read()).decode("ascii")
    return f'<img src="data:{kind};base64,{content}" alt="" height="64">'


def _plain(column: Any) -> Sequence[Any]:
    values: Sequence[Any] = column.tolist() if isinstance(column, np.ndarray) else column
    return values


def _cell(value: Any) -> object:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, (float, np.floating)) else value
