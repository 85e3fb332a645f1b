"""Multimodal recommendation: prepare, train, evaluate, recommend, serve. ::

    import alike

    data = alike.prepare("orders.csv", out="data/shop")
    model = alike.fit("lightgcn", data, out="runs/shop")
    print(model.evaluate())
    model.recommend(["ada", "bob"], k=10).to_pandas()

Functions take ids; those whose names end in `_ids` take numbers. Tables that come back have Arrow's stream, so that pandas,
polars, pyarrow and DuckDB take them as they are.
"""

from . import interop
from ._data import Data, PrepareReport, prepare
from ._embed import embed
from ._experiment import Experiment, experiment
from ._model import Metrics, Model, fit, load, models, settings
from ._native import __version__, set_threads, threads
from ._table import Table
from .callbacks import Callback

__all__ = [
    "Callback",
    "Data",
    "Experiment",
    "Metrics",
    "Model",
    "PrepareReport",
    "Table",
    "__version__",
    "embed",
    "experiment",
    "fit",
    "interop",
    "load",
    "models",
    "prepare",
    "set_threads",
    "settings",
    "threads",
]
