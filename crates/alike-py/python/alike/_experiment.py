"""Several models compared fairly."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from ._data import Data, PathLike
from ._folder import Folder
from ._model import Model, _toml, load
from ._program import run

if TYPE_CHECKING:
    import pandas

ModelSpec = Union[str, tuple[str, str, Mapping[str, Any]]]


class Experiment:
    """What an experiment found; a folder with report, tables and runs."""

    def __init__(self, path: Path, temporary: object = None) -> None:
        self.path = path
        """The folder: report.html, results.csv, tables.tex, pictures as SVG, and the runs."""
        self._temporary = temporary

    @property
    def rows(self) -> list[dict[str, str]]:
        """The lines of results.csv."""
        with open(self.path / "results.csv", newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def to_frame(self) -> pandas.DataFrame:
        """The results, a row per run: data, model, seed, settings, and columns such as `test:recall@20`."""
        import pandas

        return pandas.read_csv(self.path / "results.csv")

    def to_latex(self) -> str:
        """The tables for LaTeX."""
        return (self.path / "tables.tex").read_text(encoding="utf-8")

    @property
    def pictures(self) -> list[Path]:
        """Pictures as SVG: bars and learning curves."""
        return sorted(self.path.glob("*.svg"))

    def runs(self) -> list[Model]:
        """The models of the final runs."""
        return [load(found.parent) for found in sorted(self.path.glob("runs/**/metrics.json"))]

    def save_pictures(self, folder: PathLike) -> None:
        """Copies the pictures."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        for picture in self.pictures:
            shutil.copy(picture, folder)

    def _repr_html_(self) -> str:
        return str(self.to_frame().to_html(index=False))


def experiment(
    data: Union[Data, Sequence[Data]],
    models: Sequence[ModelSpec],
    *,
    seeds: Union[int, Sequence[int]] = 3,
    out: PathLike | None = None,
    compare: str | None = None,
    settings: Mapping[str, Any] | None = None,
    jobs: int = 1,
    threads: int | None = None,
    quiet: bool = True,
) -> Experiment:
    """Trains each of `models` (a name, or a title, a name and settings) on each of `data` with each seed (a number of
    seeds counts from 1), scores test once, and compares by paired tests with `compare` or with the best on validation.
    `settings` go to every model that has them. `jobs` runs at once. The same call with the same `out` goes on where it
    was stopped. RuntimeError with the last words of the program where it fails."""
    sets = [data] if isinstance(data, Data) else list(data)
    holder = Folder()
    folder = Path(out) if out is not None else holder.path / "experiment"
    numbers = list(range(1, seeds + 1)) if isinstance(seeds, int) else list(seeds)
    lines = ['title = "Comparison"', f"seeds = {json.dumps(numbers)}"]
    if compare is not None:
        lines.append(f"compare = {json.dumps(compare)}")
    if settings:
        lines.append("[settings]\n" + _toml(settings))
    for one in sets:
        lines.append(f"[[data]]\nname = {json.dumps(one.name)}\ndir = {json.dumps(str(one.path.absolute()))}")
    for spec in models:
        title, name, own = (spec, spec, {}) if isinstance(spec, str) else spec
        lines.append(f"[[models]]\nname = {json.dumps(title)}\nmodel = {json.dumps(name)}")
        if own:
            lines.append("[models.settings]\n" + _toml(own))
    file = holder.path / "experiment.toml"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = ["experiment", str(file), "--out", str(folder), "--jobs", str(jobs)]
    command += ["--threads", str(threads)] if threads is not None else []
    run(command, quiet)
    return Experiment(folder, holder if out is None else None)
