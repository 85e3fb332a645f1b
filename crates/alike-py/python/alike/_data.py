"""Prepared data."""

from __future__ import annotations

import errno
import html
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union

import numpy as np

from . import _ids, _native
from ._folder import Folder
from ._table import Table

if TYPE_CHECKING:
    import scipy.sparse

PathLike = Union[str, "os.PathLike[str]"]
Split = Literal["train", "valid", "test"]


class PrepareReport(dict):  # type: ignore[type-arg]
    """What `prepare` found and did, by name; as text what the program prints."""

    def __init__(self, values: Mapping[str, Any], text: str) -> None:
        super().__init__(values)
        self.text = text

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.text)}</pre>"


class Data:
    """Prepared data: who took what, split into train, validation and test, and the features of the items.

    It is a folder; several processes may have it open at once."""

    def __init__(self, native: _native.Data, report: PrepareReport | None = None, temporary: object = None) -> None:
        self._native = native
        self.report = report
        """What `prepare` found, where it was called in this process."""
        self._temporary = temporary

    @staticmethod
    def open(path: PathLike) -> Data:
        """Opens a prepared folder. FileNotFoundError, or ValueError where it is damaged or something else."""
        _must_exist(path, "no such prepared folder")
        return Data(_native.Data.open(Path(path)))

    @staticmethod
    def from_csr(
        train: scipy.sparse.csr_array,
        valid: scipy.sparse.csr_array | None = None,
        test: scipy.sparse.csr_array | None = None,
        **options: Any,
    ) -> Data:
        """Prepares matrices of users × items; entries that are stored and not 0 are interactions, whatever their
        value. With `valid` and `test` the split is theirs, otherwise it is made (`split=`). Ids are the numbers of
        rows and columns; rows and columns without interactions get none. Other options are those of `prepare`."""
        parts = [(0, train), (1, valid), (2, test)]
        given = [(label, matrix) for label, matrix in parts if matrix is not None]
        if len(given) == 2:
            raise ValueError("either `train` alone, or `train`, `valid` and `test`")
        if len({matrix.shape for _, matrix in given}) != 1:
            raise ValueError("`train`, `valid` and `test` need the same shape")
        users, items, labels = [], [], []
        for label, matrix in given:
            rows, cols = _pairs(matrix)
            users.append(rows)
            items.append(cols)
            labels.append(np.full(len(rows), label))
        table = {"user": np.concatenate(users), "item": np.concatenate(items)}
        if len(given) == 3:
            table["x_label"] = np.concatenate(labels)
            options.setdefault("split", "label")
        return prepare(table, **options)

    @property
    def path(self) -> Path:
        """The folder."""
        return self._native.path

    @property
    def name(self) -> str:
        """Name of the data."""
        return self._native.name

    @property
    def hash(self) -> str:
        """Hash of the content: equal hashes mean equal data."""
        return self._native.hash

    @property
    def split(self) -> str:
        """How the data were split."""
        return self._native.split_kind

    @property
    def n_users(self) -> int:
        """Number of users, `U`."""
        return self._native.n_users

    @property
    def n_items(self) -> int:
        """Number of items, `I`."""
        return self._native.n_items

    @property
    def users(self) -> list[str]:
        """Ids of the users; a place in this list is the user's number."""
        return self._native.users()

    @property
    def items(self) -> list[str]:
        """Ids of the items; a place in this list is the item's number."""
        return self._native.items()

    @property
    def modalities(self) -> dict[str, int]:
        """Features by name, and how many values an item has."""
        return dict(self._native.modalities())

    def user_ids(self, users: _ids.Ids) -> np.ndarray:
        """Numbers of users. KeyError for one that is not there."""
        return self._native.user_numbers(_ids.many(users))

    def item_ids(self, items: _ids.Ids) -> np.ndarray:
        """Numbers of items. KeyError for one that is not there."""
        return self._native.item_numbers(_ids.many(items))

    def title(self, item: Any) -> str | None:
        """Title of an item, where the catalogue has one."""
        return self._native.title(_ids.one(item))

    def passing(self, filter: Mapping[str, Any]) -> list[str]:
        """Ids of the items that pass a filter over the attributes of the catalogue, to be given as `candidates`.

        A filter has the form of Qdrant's: `{"must": [{"key": "price", "range": {"lt": 20}}]}`. Keys are `title`,
        `category` and the further names of `item_columns`.
        """
        return self._native.passing(json.dumps(filter))

    def category(self, item: Any) -> str | None:
        """Category of an item, where the catalogue has one."""
        return self._native.category(_ids.one(item))

    def image(self, item: Any) -> str | None:
        """Path or address of the picture of an item, where the catalogue has one."""
        return self._native.image(_ids.one(item))

    def csr(self, split: Split = "train", *, copy: bool = True) -> scipy.sparse.csr_array:
        """Interactions of a split, users × items. Values are 1, or the weights of events in train. Without `copy` its
        arrays are views of the data, which cannot be written to; some libraries take no such arrays."""
        import scipy.sparse

        ptr, idx = self._native.csr(split)
        weights = self._native.train_weights() if split == "train" else None
        values = np.ones(len(idx), dtype=np.float32) if weights is None else weights
        parts = [values, idx.view(np.int32), ptr.view(np.int32)]
        parts = [part.copy() if copy else _read_only(part) for part in parts]
        return scipy.sparse.csr_array(tuple(parts), shape=(self.n_users, self.n_items), copy=False)

    def features(self, modality: str) -> np.ndarray:
        """Features, `[I, f]`, mapped from the disk; rows of items without any are 0. KeyError for a modality that is
        not there."""
        return _read_only(self._native.features(modality))

    def batches(
        self, size: int, *, epoch: int = 1, seed: int = 0, negatives: int = 1
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """The batches of an epoch, as alike's own models draw them: numbers of users, of items that they took, and of
        items that they did not take, each `[size · negatives]`; the last batch may be smaller. For models written in
        another framework; the same seed and epoch give the same batches."""
        return iter(self._native.batches(size, epoch, seed, negatives))

    def interactions(self, split: Split = "train") -> Table:
        """Interactions of a split as ids: columns user, item."""
        return Table(self._native.interactions(split))

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (str(self.path), self.hash)

    def __repr__(self) -> str:
        parts = [f"{self.n_users} users", f"{self.n_items} items", *(f"{n} [{d}]" for n, d in self.modalities.items())]
        return f"<alike.Data {self.name}: {', '.join(parts)}, split {self.split}>"

    def _repr_html_(self) -> str:
        train, valid, test = (len(self._native.csr(split)[1]) for split in ("train", "valid", "test"))
        density = (train + valid + test) / (self.n_users * self.n_items)
        rows = {
            "users": self.n_users,
            "items": self.n_items,
            "train": train,
            "validation": valid,
            "test": test,
            "density": f"{density:.4%}",
            "split": self.split,
            "features": ", ".join(f"{n} [{d}]" for n, d in self.modalities.items()) or "none",
        }
        cells = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(str(v))}</td></tr>" for k, v in rows.items())
        return f"<table><caption>{html.escape(self.name)}</caption>{cells}</table>"


def prepare(
    interactions: Any,
    *,
    more: Sequence[Any] = (),
    out: PathLike | None = None,
    items: Any = None,
    features: Mapping[str, Any] | None = None,
    columns: Mapping[str, str | None] | None = None,
    item_columns: Mapping[str, str] | None = None,
    events: Mapping[str, float] | None = None,
    half_life: float | None = None,
    split: Literal["auto", "label", "random", "leave-one-out", "temporal"] = "auto",
    k_core: int = 0,
    min_rating: float | None = None,
    time_format: str | None = None,
    drop_missing: bool = False,
    cold_items: bool = True,
    seed: int = 0,
    name: str | None = None,
) -> Data:
    """Cleans and splits interactions and joins what belongs to the items.

    `interactions` and `items` are a path (everything that `alike prepare` reads), a table with Arrow's stream (pandas,
    polars, pyarrow, DuckDB, a data set of Hugging Face in the format "arrow"), a SciPy matrix of users × items, or a
    dictionary of columns. `features` has a path, an array `[items, f]`, or a pair of ids and array for each modality.
    `columns` names the columns of user, item, rating, time, label, event where they are not found by themselves; `None`
    leaves one out; `more` are further interactions, each with columns of its own. `events` keeps these kinds of events,
    with their weights; one of weight 0 takes back what the person did with the item before. `half_life` is a number of
    days after which an interaction takes part in training half as often. `out` is the folder to write; without it
    one that lasts as long as the result is used.

    FileNotFoundError for a file that is not there; ValueError for what cannot be prepared, with the way out."""
    holder = Folder()
    place = Path(out) if out is not None else holder.path / "data"
    known = _known_features(features or {}, holder.path)
    report, text = _native.prepare(
        _table_or_path(interactions, "interactions"),
        place,
        more=[_table_or_path(each, "more") for each in more],
        half_life=half_life,
        name=name or "data",
        items=None if items is None else _table_or_path(items, "items"),
        features=known,
        columns=dict(columns or {}),
        item_columns=dict(item_columns or {}),
        events=[(kind, float(weight)) for kind, weight in (events or {}).items()],
        split=split,
        k_core=k_core,
        min_rating=min_rating,
        time_format=time_format,
        drop_missing=drop_missing,
        cold_items=cold_items,
        seed=seed,
    )
    kept = None if out is not None else holder
    return Data(_native.Data.open(place), PrepareReport(json.loads(report), text), kept)


def _must_exist(path: PathLike, what: str) -> None:
    if not os.path.exists(path):
        raise FileNotFoundError(errno.ENOENT, what, os.fspath(path))


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _reopen(path: str, expected: str) -> Data:
    data = Data.open(path)
    if data.hash != expected:
        raise ValueError(f"{path}: the data have changed since this was pickled")
    return data


def _table_or_path(value: Any, what: str) -> Any:
    if isinstance(value, (str, os.PathLike)):
        _must_exist(value, f"no such file for {what}")
        return Path(value)
    if hasattr(value, "collect") and hasattr(value, "collect_schema"):  # a lazy frame of polars
        value = value.collect()
    if hasattr(value, "__arrow_c_stream__"):
        return value
    if hasattr(value, "tocoo"):
        value = dict(zip(("user", "item"), _pairs(value), strict=True))
    if isinstance(value, Mapping):
        return _native.Table.from_columns({str(name): _column(name, column) for name, column in value.items()})
    raise TypeError(
        f"{what} is a {type(value).__name__}; allowed: a path, a table with Arrow's stream (pandas from 2.2, polars, "
        "pyarrow), a SciPy matrix, a dictionary of columns"
    )


def _pairs(matrix: Any) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of what a SciPy matrix stores that is not 0."""
    pairs = matrix.tocoo()
    stored = pairs.data != 0
    return pairs.row[stored], pairs.col[stored]


def _column(name: object, values: Any) -> Any:
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"column `{name}` has {array.ndim} dimensions; allowed: 1")
    if array.dtype.kind in "iu":
        return array.astype(np.int64)
    if array.dtype.kind == "f":
        return array.astype(np.float64)
    if array.dtype.kind == "M":
        return np.datetime_as_string(array.astype("datetime64[us]")).tolist()
    return [None if value is None or value != value else str(value) for value in array.tolist()]


def _known_features(features: Mapping[str, Any], folder: Path) -> list[tuple[str, Path, Path | None]]:
    known: list[tuple[str, Path, Path | None]] = []
    for at, (name, value) in enumerate(features.items()):
        if isinstance(value, (str, os.PathLike)):
            _must_exist(value, f"no such file for the features {name}")
            known.append((name, Path(value), None))
            continue
        ids, values = value if isinstance(value, tuple) else (None, value)
        array = np.asarray(values, dtype=np.float32)
        if array.ndim != 2:
            raise ValueError(f"features `{name}` have {array.ndim} dimensions; allowed: 2, a row per item")
        file = folder / f"features-{at}.npy"
        np.save(file, array)
        lines = None
        if ids is not None:
            texts = _ids.many(ids)
            if len(texts) != len(array):
                raise ValueError(f"features `{name}` have {len(array)} rows and {len(texts)} ids; one id per row")
            if any("\n" in text or "\r" in text for text in texts):
                raise ValueError(f"an id of the features `{name}` holds a line end")
            lines = folder / f"features-{at}.txt"
            lines.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        known.append((name, file, lines))
    return known
