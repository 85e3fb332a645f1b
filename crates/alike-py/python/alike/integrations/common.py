"""What trackers share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flat(run: Mapping[str, Any]) -> dict[str, Any]:
    """What a run is, without dictionaries in it."""
    values = {name: value for name, value in run.items() if name not in ("settings", "devices")}
    return {**values, **{f"settings.{name}": value for name, value in run["settings"].items()}}


def numbers(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of an epoch."""
    values = {name: float(record[name]) for name in ("loss", "train_seconds", "eval_seconds")}
    values.update({f"valid.{name}": float(value) for name, value in (record.get("valid") or {}).items()})
    return values
