"""Trained models."""

from __future__ import annotations

import html
import json
import math
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union

import numpy as np

from . import _ids, _native
from ._data import Data, PathLike, _must_exist, _read_only
from ._folder import Folder
from ._table import Table
from .callbacks import Callback, Callbacks, Progress, as_callbacks

if TYPE_CHECKING:
    import pandas

Metric = Callable[[np.ndarray, "list[np.ndarray]"], "np.ndarray"]
"""Lists as numbers of items, `[users, 50]`, -1 where a list is shorter, and each user's held-out items; a value per user."""


class Metrics(dict):  # type: ignore[type-arg]
    """Metrics by name, such as `recall@20`: means over the users with held-out items."""

    def __init__(self, values: Mapping[str, float], groups: list[dict[str, Any]], per_user: Table) -> None:
        super().__init__(values)
        self.groups = groups
        """The same for users and items with few and with many interactions: name, limit, users, metrics."""
        self.per_user = per_user
        """Each user's values: column user, then one per metric."""

    def to_frame(self) -> pandas.DataFrame:
        """One row per metric."""
        import pandas

        return pandas.DataFrame({"metric": list(self), "value": list(self.values())})

    def _repr_html_(self) -> str:
        cells = "".join(f"<tr><th>{html.escape(k)}</th><td>{v:.4f}</td></tr>" for k, v in self.items())
        return f"<table>{cells}</table>"


class Model:
    """A trained model: a run folder, opened. It never changes; `fit` makes a new one."""

    def __init__(self, native: _native.Model, data: Data | None = None, temporary: object = None) -> None:
        self._native = native
        self._data = data
        self._temporary = temporary

    @staticmethod
    def from_factors(
        users: Any,
        items: Any,
        data: Data,
        *,
        source: str = "python",
        out: PathLike | None = None,
        test: bool = True,
    ) -> Model:
        """A model that was trained elsewhere and ends as inner products: vectors of users, `[U, d]`, and of items,
        `[I, d]`, in the order of `data.users` and `data.items`. It is evaluated, compared and served like any other.
        ValueError where sizes do not fit or a value is not finite."""
        place, holder = _place(out)
        arrays = [np.asarray(factors, dtype=np.float32) for factors in (users, items)]
        for what, array in zip(("users", "items"), arrays, strict=True):
            if array.ndim != 2:
                raise ValueError(f"`{what}` have {array.ndim} dimensions; allowed: 2, a row each")
        _native.keep_external(data._native, arrays[0], arrays[1], source, place, test)
        return Model(_native.Model.open(place, data.path), data, holder)

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._native.name

    @property
    def path(self) -> Path:
        """The run folder; `alike serve` serves it."""
        return self._native.path

    @property
    def seed(self) -> int:
        """Seed of its training."""
        return self._native.seed

    @property
    def hash(self) -> str:
        """Hash of the file that ranks: equal hashes mean equal bits."""
        return self._native.hash

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting."""
        return json.loads(self._native.settings)  # type: ignore[no-any-return]

    @property
    def data(self) -> Data:
        """The data that it was trained on."""
        if self._data is None:
            self._data = Data(self._native.data)
        return self._data

    @property
    def summary(self) -> dict[str, Any] | None:
        """How training ended: epochs, best_epoch, parameters, seconds, metrics of validation and test."""
        return json.loads(self._native.summary())  # type: ignore[no-any-return]

    @property
    def remarks(self) -> list[str]:
        """What should be known beside the numbers, such as that training was cut short."""
        return self._native.remarks()

    @property
    def history(self) -> list[dict[str, Any]]:
        """The learning curve, a record per epoch; empty for models that are solved at once."""
        return json.loads(self._native.history())  # type: ignore[no-any-return]

    @property
    def user_factors(self) -> np.ndarray | None:
        """Vectors of users, `[U, d]`, a view; `None` for models that have none."""
        factors = self._native.user_factors()
        return None if factors is None else _read_only(factors)

    @property
    def item_factors(self) -> np.ndarray | None:
        """Vectors of items, `[I, d]`, a view; `None` for models that have none."""
        factors = self._native.item_factors()
        return None if factors is None else _read_only(factors)

    def recommend(
        self,
        users: _ids.Ids | None = None,
        k: int = 10,
        *,
        history: Mapping[Any, _ids.Ids] | None = None,
        filter_seen: bool = True,
        candidates: _ids.Ids | None = None,
        exclude: _ids.Ids = (),
        diversity: float = 0.0,
        cold_items: float = 0.0,
    ) -> Table:
        """The `k` best items of each user, best first: columns user, rank, item, score.

        `users` are ids that training knew; none given: all of them. `history` has, instead, what each of several people
        took, whether or not training knew them. What they took is left out unless `filter_seen` is false. `candidates`
        are the only items that may appear, `exclude` those that may not. `diversity` from 0 to 1 weighs how different
        the items of a list are to be against their scores; `cold_items` from 0 to 1 raises items that nobody took in
        training, to where they compete like the average item that somebody took. KeyError for an id that is not there."""
        only, without = _ids.optional(candidates), _ids.many(exclude)
        k = _count(k)
        if history is not None:
            if users is not None:
                raise ValueError("either `users` or `history`, not both")
            people = [(_ids.one(name), _ids.many(taken)) for name, taken in history.items()]
            table = self._native.recommend_for(people, k, filter_seen, only, without, diversity, cold_items)
        elif diversity:
            known = [(name, None) for name in (self.data.users if users is None else _ids.many(users))]
            table = self._native.recommend_for(known, k, filter_seen, only, without, diversity, cold_items)
        else:
            table = self._native.recommend(_ids.optional(users), k, filter_seen, only, without, cold_items)
        return self._titled(table)

    def recommend_batches(
        self, users: _ids.Ids | None = None, k: int = 10, *, batch_size: int = 65536, **options: Any
    ) -> Iterator[Table]:
        """The same for many users, `batch_size` of them at a time, so that no more than their lists is held."""
        names = self.data.users if users is None else _ids.many(users)
        for start in range(0, len(names), batch_size):
            yield self.recommend(names[start : start + batch_size], k, **options)

    def recommend_ids(
        self,
        users: Any,
        k: int = 10,
        *,
        filter_seen: bool = True,
        candidates: Any = None,
        exclude: Any = (),
        cold_items: float = 0.0,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same by numbers: items and scores, `[users, k]`; -1 and minus infinity where a list is shorter."""
        numbers = np.atleast_1d(np.asarray(users, dtype=np.int64))
        only = None if candidates is None else np.atleast_1d(np.asarray(candidates, dtype=np.int64))
        without = np.atleast_1d(np.asarray(exclude, dtype=np.int64))
        return self._native.recommend_ids(numbers, _count(k), filter_seen, only, without, cold_items)

    def similar_items(self, items: _ids.Ids, k: int = 10) -> Table:
        """The `k` items most like each of `items`: columns item, rank, similar, score."""
        return self._titled(self._native.similar_items(_ids.many(items), _count(k)))

    def similar_users(self, users: _ids.Ids, k: int = 10) -> Table:
        """The `k` users most like each of `users`: columns user, rank, similar, score."""
        return Table(self._native.similar_users(_ids.many(users), _count(k)))

    def explain(
        self, user: Any = None, items: _ids.Ids = (), most: int = 3, *, history: _ids.Ids | None = None
    ) -> Table:
        """Why items have their scores: columns item, because (an item of the history), loss (what the score would lose
        without it), modality. For a `user` that training knew, or for somebody with this `history`."""
        if (user is None) == (history is None):
            raise ValueError("either `user` or `history`")
        person = ("", _ids.optional(history)) if user is None else (_ids.one(user), None)
        return self._titled(self._native.explain(person, _ids.many(items), most))

    def score(self, users: _ids.Ids, items: _ids.Ids) -> np.ndarray:
        """Scores of pairs, `[n]`; one user is paired with each item."""
        left, right = _ids.many(users), _ids.many(items)
        left = left * len(right) if len(left) == 1 else left
        right = right * len(left) if len(right) == 1 else right
        if len(left) != len(right):
            raise ValueError(f"{len(left)} users and {len(right)} items; pairs need as many of both")
        return self._native.score(left, right)

    def evaluate(
        self,
        split: Literal["valid", "test"] = "test",
        protocol: Literal["public", "clean"] = "public",
        metrics: Mapping[str, Metric] | None = None,
    ) -> Metrics:
        """Metrics over all users with held-out items, all items ranked. By `public` only train items are left out of the
        lists, as in published tables; by `clean` those of validation too, at test time. `metrics` adds your own."""
        values, groups, names, users, each, lists = self._native.evaluate(split, protocol)
        columns: dict[str, Any] = {"user": users}
        columns.update({name: np.ascontiguousarray(each[:, at]) for at, name in enumerate(names)})
        found = json.loads(values)
        if metrics:
            ptr, idx = self.data._native.csr(split)
            truth = [idx[ptr[user] : ptr[user + 1]] for user in self.data.user_ids(users)]
            for name, metric in metrics.items():
                own = np.asarray(metric(lists, truth), dtype=np.float64)
                if own.shape != (len(users),):
                    raise ValueError(f"metric `{name}` gave {own.shape}; allowed: a value for each of {len(users)} users")
                found[name] = float(own.mean())
                columns[name] = own
        return Metrics(found, json.loads(groups), Table(_native.Table.from_columns(columns)))

    def save(self, path: PathLike) -> Model:
        """Copies the run folder to `path`, which must not be there, and opens it there. The data stay where they are."""
        shutil.copytree(self.path, path)
        return Model(_native.Model.open(Path(path), self.data.path), self.data)

    def _titled(self, table: _native.Table) -> Table:
        return Table(table, self._native.data)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (str(self.path), str(self.data.path), self.hash)

    def __repr__(self) -> str:
        return f"<alike.Model {self.name} on {self.data.name}: {self.path}>"

    def _repr_html_(self) -> str:
        summary = self.summary or {}
        valid = summary.get("valid", {}).get("recall@20")
        rows = {
            "data": self.data.name,
            "seed": self.seed,
            "best epoch": f"{summary.get('best_epoch')} of {summary.get('epochs')}",
            "recall@20, validation": "" if valid is None else f"{valid:.4f}",
            "folder": self.path,
        }
        cells = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(str(v))}</td></tr>" for k, v in rows.items())
        return f"<table><caption>{html.escape(self.name)}</caption>{cells}</table>"


def models() -> dict[str, str]:
    """Every model by name, with a sentence."""
    return {name: summary for name, summary, _ in _native.models()}


def settings(model: str) -> dict[str, dict[str, str]]:
    """Settings of a model by name: type, default, allowed, what it does. ValueError for a model that is not there."""
    keys = ("type", "default", "allowed", "doc")
    return {name: dict(zip(keys, rest, strict=True)) for name, *rest in _native.settings(model)}


def fit(
    model: str,
    data: Data,
    *,
    out: PathLike | None = None,
    seed: int = 0,
    device: Union[str, Sequence[str]] = "cpu",
    warm_start: Union[Model, PathLike, None] = None,
    resume: bool = False,
    test: bool = True,
    callbacks: Callbacks | None = None,
    progress: bool | None = None,
    settings: Mapping[str, Any] | None = None,
    **more: Any,
) -> Model:
    """Trains `model` (a name of `models()`) on `data` and returns it with the parameters that were best on validation.

    Settings are keyword arguments, `dim=128`; one that is not there is a ValueError with the names that are. `out` is the
    run folder, which is kept; without it one that lasts as long as the model is used. `warm_start` starts from the
    parameters of another model of the same name, `resume` goes on with the run in `out`. `device` is `cpu`, or `gpu:0`
    where this build has devices. `test` scores the test split at the end. `callbacks` watch; `progress` shows a bar, by
    default where standard error is a terminal or a notebook. Ctrl-C keeps what was evaluated last in `out` and raises
    KeyboardInterrupt."""
    if resume and out is None:
        raise ValueError("`resume` needs `out`, the run folder to go on with")
    place, holder = _place(out)
    chosen = {**(settings or {}), **more}
    watching = as_callbacks(callbacks)
    bar = Progress() if (_watched() if progress is None else progress) else None
    if bar is not None:
        watching.append(bar)
    run = {"model": model, "seed": seed, "settings": chosen, "data": data.name, "data_hash": data.hash}
    try:
        _native.fit(
            model,
            data._native,
            place,
            settings=_toml(chosen),
            seed=seed,
            devices=[device] if isinstance(device, str) else list(device),
            resume=resume,
            warm_start=Path(warm_start.path if isinstance(warm_start, Model) else warm_start) if warm_start else None,
            test=test,
            on_event=_speaker(watching, run) if watching else None,
        )
    finally:
        if bar is not None:
            bar.close()
    trained = Model(_native.Model.open(place, data.path), data, holder)
    for one in watching:
        one.on_train_end(trained)
    return trained


def load(path: PathLike, data: Union[Data, PathLike, None] = None) -> Model:
    """Opens a run folder, with the prepared data at `data` where those are no more where they were. FileNotFoundError, or
    ValueError where it is damaged or was trained on other data."""
    _must_exist(path, "no such run folder")
    given = data if isinstance(data, Data) else None
    place = given.path if given is not None else None if data is None else Path(data)  # type: ignore[arg-type]
    return Model(_native.Model.open(Path(path), place), given)


def _speaker(watching: list[Callback], run: dict[str, Any]) -> Callable[[str, str], None]:
    def speak(name: str, text: str) -> None:
        what = json.loads(text)
        for one in watching:
            if name == "planned":
                one.on_train_start({**run, **what})
            elif name == "batch":
                one.on_batch(what)
            elif name == "epoch":
                one.on_epoch(what)

    return speak


def _watched() -> bool:
    shell = sys.modules.get("IPython")
    in_notebook = shell is not None and "IPKernelApp" in getattr(shell.get_ipython(), "config", {})
    return in_notebook or sys.stderr.isatty()


def _place(out: PathLike | None) -> tuple[Path, object]:
    if out is not None:
        return Path(os.fspath(out)), None
    holder = Folder()
    return holder.path / "run", holder


def _count(k: int) -> int:
    if k < 1:
        raise ValueError(f"k is {k}; allowed: 1 and more")
    return k


def _toml(table: Mapping[str, Any]) -> str:
    return "".join(f"{name} = {_value(name, value)}\n" for name, value in table.items())


def _value(name: str, value: Any) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, str)):
        return json.dumps(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(str(k))} = {_value(name, v)}" for k, v in value.items()) + " }"
    if isinstance(value, Sequence):
        return "[" + ", ".join(_value(name, v) for v in value) + "]"
    raise TypeError(f"setting `{name}` is {value!r}; allowed: numbers, text, booleans, lists, dictionaries")


def _reopen(path: str, data: str, expected: str) -> Model:
    model = load(path, data)
    if model.hash != expected:
        raise ValueError(f"{path}: the model has changed since this was pickled")
    return model
