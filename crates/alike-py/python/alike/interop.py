"""To and from other libraries. What alike reads from them: RecBole's and MMRec's files by `alike.prepare(path)`, implicit's
matrices by `alike.Data.from_csr`, frames of LensKit and Cornac's tuples as below."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ._data import Data, PathLike, prepare

if TYPE_CHECKING:
    import pandas
    import scipy.sparse

    from ._model import Model


def from_tuples(interactions: Iterable[tuple[Any, ...]], **options: Any) -> Data:
    """Prepares tuples of user, item and, where they have it, rating and time, as Cornac takes them. Other options are
    those of `alike.prepare`."""
    columns = list(zip(*interactions, strict=True))
    if not 2 <= len(columns) <= 4:
        raise ValueError(f"tuples have {len(columns)} entries; allowed: user, item, rating, time")
    names = ("user", "item", "rating", "timestamp")
    return prepare(dict(zip(names, columns, strict=False)), **options)


def to_cornac(data: Data, split: str = "train") -> list[tuple[str, str, float]]:
    """Interactions of a split as Cornac's tuples of user, item and 1."""
    table = data.interactions(split)  # type: ignore[arg-type]
    return [(user, item, 1.0) for user, item in zip(table["user"], table["item"], strict=True)]


def to_lenskit(data: Data, split: str = "train") -> pandas.DataFrame:
    """Interactions of a split as a frame with the columns of LensKit: user_id, item_id."""
    table = data.interactions(split)  # type: ignore[arg-type]
    import pandas

    return pandas.DataFrame({"user_id": table["user"], "item_id": table["item"]})


def to_recbole(data: Data, folder: PathLike, name: str | None = None) -> Path:
    """Writes `NAME/NAME.train.inter`, `.valid.inter` and `.test.inter` as RecBole's `benchmark_filename` takes them, and
    `NAME.inter` with all of them and the labels of the split as MMRec takes it. Returns the folder `NAME`."""
    name = name or data.name
    out = Path(folder) / name
    out.mkdir(parents=True, exist_ok=True)
    head = "user_id:token\titem_id:token"
    every = [head + "\tx_label:float"]
    for label, split in enumerate(("train", "valid", "test")):
        table = data.interactions(split)  # type: ignore[arg-type]
        lines = [f"{user}\t{item}" for user, item in zip(table["user"], table["item"], strict=True)]
        (out / f"{name}.{split}.inter").write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
        every += [f"{line}\t{label}" for line in lines]
    (out / f"{name}.inter").write_text("\n".join(every) + "\n", encoding="utf-8")
    return out


def to_implicit(data: Data, split: str = "train") -> scipy.sparse.csr_matrix:
    """Interactions of a split as implicit takes them for `fit` and `recommend`, users × items."""
    import scipy.sparse

    return scipy.sparse.csr_matrix(data.csr(split))  # type: ignore[arg-type]


def from_implicit(model: Any, data: Data, **options: Any) -> Model:
    """A factorisation of implicit (ALS, BPR, LMF) that was fitted on `to_implicit(data)`, as a model of alike. Options are those
    of `Model.from_factors`."""
    from ._model import Model

    users, items = (_to_numpy(factors) for factors in (model.user_factors, model.item_factors))
    return Model.from_factors(users, items, data, **{"source": f"implicit.{type(model).__name__}", **options})


def from_torch(users: Any, items: Any, data: Data, **options: Any) -> Model:
    """Tensors of PyTorch, `[U, d]` and `[I, d]`, as a model of alike. Options are those of `Model.from_factors`."""
    from ._model import Model

    first, second = (tensor.detach().cpu().numpy() for tensor in (users, items))
    return Model.from_factors(first, second, data, **{"source": "torch", **options})


def _to_numpy(factors: Any) -> np.ndarray:
    return np.asarray(factors.to_numpy() if hasattr(factors, "to_numpy") else factors, dtype=np.float32)
