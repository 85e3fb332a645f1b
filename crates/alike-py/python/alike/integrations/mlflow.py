"""MLflow: `alike.fit(..., callbacks=alike.integrations.mlflow.Tracker())`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import mlflow

from ..callbacks import Callback
from .common import flat, held_out, numbers

if TYPE_CHECKING:
    from .._model import Model


class Tracker(Callback):
    """Writes a run: settings, seed and the data's hash as parameters, metrics by epoch, the run folder as an artifact. It
    writes to the run that is active, or starts one of its own."""

    def __init__(self, artifacts: bool = True) -> None:
        self._artifacts = artifacts
        self._own = False

    def on_train_start(self, run: Mapping[str, Any]) -> None:
        if mlflow.active_run() is None:
            mlflow.start_run(run_name=run["model"])
            self._own = True
        mlflow.log_params(flat(run))

    def on_epoch(self, record: Mapping[str, Any]) -> None:
        mlflow.log_metrics(_named(numbers(record)), step=record["epoch"])

    def on_train_end(self, model: Model) -> None:
        mlflow.log_metrics(_named(held_out(model)))
        if self._artifacts:
            mlflow.log_artifacts(str(model.path), "run")
        if self._own:
            mlflow.end_run()


def _named(values: Mapping[str, float]) -> dict[str, float]:
    """Names there have no `@`."""
    return {name.replace("@", "_at_"): value for name, value in values.items()}
