"""Weights & Biases: `alike.fit(..., callbacks=alike.integrations.wandb.Tracker(project="shop"))`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import wandb

from ..callbacks import Callback
from .common import flat, held_out, numbers

if TYPE_CHECKING:
    from .._model import Model


class Tracker(Callback):
    """Writes a run: settings, seed and the data's hash as its configuration, metrics by epoch, those of test as its
    summary. Keywords go to `wandb.init`; it writes to the run that is active, where there is one."""

    def __init__(self, **init: Any) -> None:
        self._init = init
        self._own = False

    def on_train_start(self, run: Mapping[str, Any]) -> None:
        if wandb.run is None:
            wandb.init(**self._init)
            self._own = True
        wandb.config.update(flat(run))

    def on_epoch(self, record: Mapping[str, Any]) -> None:
        wandb.log(numbers(record), step=record["epoch"])

    def on_train_end(self, model: Model) -> None:
        wandb.run.summary.update(held_out(model))
        if self._own:
            wandb.finish()
