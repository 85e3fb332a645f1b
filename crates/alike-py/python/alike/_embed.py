"""Features of texts and pictures."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Union

from ._data import PathLike, _must_exist
from ._program import run


def embed(
    items: PathLike | None = None,
    *,
    out: PathLike,
    text: Union[str, Iterable[str], None] = None,
    images: Union[bool, str] = False,
    image_folder: PathLike | None = None,
    id: str | None = None,
    encoder: PathLike | None = None,
    tokenizer: PathLike | None = None,
    preprocess: PathLike | None = None,
    dim: int | None = None,
    batch: int = 256,
) -> dict[str, Any]:
    """Encodes the texts or the pictures of a catalogue and writes them to `out`, a `.safetensors` file that
    `prepare(features={"text": out})` takes. By the built-in encoders, or by an ONNX model, `encoder`, where ONNX Runtime is.
    `text` names columns of texts, `images` the column of pictures' paths (`True`: the usual one). What is finished is kept:
    the same call goes on after a stop. Returns the report. RuntimeError with what is wrong."""
    arguments: list[str] = ["embed", "--json", "--out", str(out), "--batch", str(batch)]
    for flag, value in (("--items", items), ("--image-folder", image_folder)):
        if value is not None:
            _must_exist(value, "no such file or folder")
            arguments += [flag, str(value)]
    for name in [text] if isinstance(text, str) else list(text or ()):
        arguments += ["--text", name]
    if images:
        arguments += ["--images", *([images] if isinstance(images, str) else [])]
    named = {"--id": id, "--encoder": encoder, "--tokenizer": tokenizer, "--preprocess": preprocess, "--dim": dim}
    for flag, given in named.items():
        arguments += [flag, str(given)] if given is not None else []
    report: dict[str, Any] = json.loads(run(arguments))
    return {**report, "out": Path(out)}
