"""Optuna: `alike.fit(..., callbacks=alike.integrations.optuna.Pruning(trial))`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna

from ..callbacks import Callback


class Pruning(Callback):
    """Reports a metric of validation after each evaluation and ends a trial that is not worth going on with."""

    def __init__(self, trial: optuna.Trial, metric: str = "recall@20") -> None:
        self._trial = trial
        self._metric = metric

    def on_epoch(self, record: Mapping[str, Any]) -> None:
        valid = record.get("valid")
        if valid is None:
            return
        self._trial.report(valid[self._metric], record["epoch"])
        if self._trial.should_prune():
            raise optuna.TrialPruned(f"{self._metric} {valid[self._metric]:.4f} after epoch {record['epoch']}")
