"""Runs the notebooks from the first cell to the last and writes them with their outputs to a folder: `python run.py FOLDER`.
An error of a cell is an error here. Needs nbclient, ipykernel, pillow, pandas, pyarrow and SciPy."""

import sys
from pathlib import Path

import nbclient
import nbformat

out = Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
for path in sorted(Path(__file__).parent.glob("*.ipynb")):
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(path.parent)}}).execute()
    nbformat.write(notebook, out / path.name)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    print(f"{path.name}: {len(cells)} cells")
