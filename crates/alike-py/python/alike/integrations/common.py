"""What trackers share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .._model import Model


def flat(run: Mapping[str, Any]) -> dict[str, Any]:
    """What a run is, without dictionaries in it."""
    values = {name: value for name, value in run.items() if name not in ("settings", "devices")}
    return {**values, **{f"settings.{name}": value for name, value in run["settings"].items()}}


def numbers(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of an epoch."""
    values = {name: float(record[name]) for name in ("loss", "train_seconds", "eval_seconds")}
    values.update({f"valid.{name}": float(value) for name, value in (record.get("valid") or {}).items()})
    return values


def held_out(model: Model) -> dict[str, float]:
    """Metrics of test, under both protocols."""
    summary = model.summary or {}
    protocols = ("test_public", "test_clean")
    return {f"{name}.{metric}": value for name in protocols for metric, value in summary.get(name, {}).items()}
