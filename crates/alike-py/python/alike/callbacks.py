"""What may watch a training."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Union

if TYPE_CHECKING:
    from ._model import Model


class Callback:
    """Watches a training; a subclass writes over what it needs. An exception ends the training: what was evaluated last is
    kept in the folder, and the exception leaves `fit`."""

    def on_train_start(self, run: Mapping[str, Any]) -> None:
        """Before the first step: model, settings, seed, data, data_hash, parameters, memory_bytes, epochs, batches."""

    def on_batch(self, batch: Mapping[str, Any]) -> None:
        """Now and then after a step, at most ten times per second: epoch, batch, batches, loss."""

    def on_epoch(self, record: Mapping[str, Any]) -> None:
        """After each epoch: epoch, loss, train_seconds, eval_seconds, valid (metrics, or `None` where it was not
        evaluated), best, expected_end."""

    def on_train_end(self, model: Model) -> None:
        """After the last epoch, with the model that `fit` returns."""


Callbacks = Union[Callback, Any, Iterable[Any]]


class Function(Callback):
    """A function that is called with the record of each epoch."""

    def __init__(self, function: Any) -> None:
        self._function = function

    def on_epoch(self, record: Mapping[str, Any]) -> None:
        self._function(record)


class Progress(Callback):
    """A bar on standard error: that of `tqdm` where it is installed (in notebooks too), otherwise a line."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._total = 0
        self._written = 0.0

    def on_train_start(self, run: Mapping[str, Any]) -> None:
        self._total = run["epochs"]
        if not self._total:
            return
        try:
            from tqdm.auto import tqdm
        except ImportError:
            return
        self._bar = tqdm(total=self._total, desc=run["model"], unit="epoch", leave=False)

    def on_epoch(self, record: Mapping[str, Any]) -> None:
        valid = record.get("valid") or {}
        words = {"loss": f"{record['loss']:.4f}"}
        if "recall@20" in valid:
            words["recall@20"] = f"{valid['recall@20']:.4f}"
        if self._bar is not None:
            self._bar.total = record["expected_end"]
            self._bar.set_postfix(words)
            self._bar.update(1)
        elif time.monotonic() - self._written > 0.1:
            self._written = time.monotonic()
            text = ", ".join(f"{name} {value}" for name, value in words.items())
            sys.stderr.write(f"\repoch {record['epoch']}/{record['expected_end']}  {text}   ")
            sys.stderr.flush()

    def close(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.close()
        elif self._written:
            sys.stderr.write("\n")


def as_callbacks(given: Callbacks | None) -> list[Callback]:
    """Callbacks as a list; plain functions hear of epochs."""
    if given is None:
        return []
    several = list(given) if isinstance(given, (list, tuple)) else [given]
    return [one if isinstance(one, Callback) else _function(one) for one in several]


def _function(given: Any) -> Callback:
    if not callable(given):
        raise TypeError(f"a callback is an alike.Callback or a function, not {given!r}")
    return Function(given)
