"""TensorBoard: `alike.fit(..., callbacks=alike.integrations.tensorboard.Tracker("logs"))`; needs `tensorboardX`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Union

from tensorboardX import SummaryWriter

from ..callbacks import Callback
from .common import flat, numbers

if TYPE_CHECKING:
    from .._model import Model


class Tracker(Callback):
    """Writes metrics by epoch, settings as text, and those of test at the end."""

    def __init__(self, folder: Union[str, "os.PathLike[str]"]) -> None:
        self._writer = SummaryWriter(os.fspath(folder))

    def on_train_start(self, run: Mapping[str, Any]) -> None:
        lines = "\n".join(f"    {name} = {value}" for name, value in flat(run).items())
        self._writer.add_text("settings", lines)

    def on_epoch(self, record: Mapping[str, Any]) -> None:
        for name, value in numbers(record).items():
            self._writer.add_scalar(name, value, record["epoch"])

    def on_train_end(self, model: Model) -> None:
        summary = model.summary or {}
        for metric, value in summary.get("test_public", {}).items():
            self._writer.add_scalar(f"test.{metric}", value, summary["epochs"])
        self._writer.close()
