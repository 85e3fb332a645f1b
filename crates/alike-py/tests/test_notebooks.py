"""The notebooks run from the first cell to the last."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_notebooks_run(tmp_path):
    for name in ("nbclient", "ipykernel", "PIL", "pandas", "scipy"):
        pytest.importorskip(name)
    folder = Path(__file__).parent.parent / "notebooks"
    # Packages that were installed into a folder of their own have their kernel there.
    kernels = [str(Path(place) / "share/jupyter") for place in sys.path if (Path(place) / "share/jupyter").is_dir()]
    known = [os.environ["JUPYTER_PATH"]] if "JUPYTER_PATH" in os.environ else []
    env = {**os.environ, "ALIKE_EPOCHS": "2", "JUPYTER_PATH": os.pathsep.join([*kernels, *known])}
    command = [sys.executable, str(folder / "run.py"), str(tmp_path / "out")]
    done = subprocess.run(command, env=env, text=True, capture_output=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["compare-eight-models.ipynb", "first-dataset.ipynb"]
    made = (tmp_path / "out/first-dataset.ipynb").read_text(encoding="utf-8")
    assert "data:image/png;base64," in made
