"""Writes the notebooks from what is below: `python make.py`. Cells without outputs, so that changes can be read."""

import json
from pathlib import Path

FIRST = [
    """# From a first data set to recommendations with pictures

A small shop of scarves: each has a colour and a pattern, and people have a taste for one or the other. We draw the pictures, make a
log of who bought what, and let `alike` learn from both.""",
    """```python
import numpy as np
from pathlib import Path
from tempfile import mkdtemp
from PIL import Image, ImageDraw

shop, random = Path(mkdtemp()), np.random.default_rng(0)
colours = {"red": (200, 40, 50), "blue": (40, 80, 190), "green": (40, 140, 70), "yellow": (220, 180, 50)}
patterns = ["plain", "striped", "dotted"]

def draw(colour, pattern, shade):
    picture = Image.new("RGB", (96, 96), tuple(int(c * shade) for c in colours[colour]))
    pen = ImageDraw.Draw(picture)
    for x in range(0, 96, 16):
        if pattern == "striped":
            pen.rectangle([x, 0, x + 5, 96], fill="white")
        for y in range(0, 96, 16):
            if pattern == "dotted":
                pen.ellipse([x + 4, y + 4, x + 11, y + 11], fill="white")
    return picture

catalogue = []
for n in range(120):
    colour, pattern = list(colours)[n % 4], patterns[n // 4 % 3]
    draw(colour, pattern, random.uniform(0.7, 1.2)).save(shop / f"{n}.png")
    catalogue.append({"item": f"scarf-{n}", "title": f"{pattern} {colour} scarf".capitalize(), "image": f"{n}.png",
                      "colour": colour, "pattern": pattern})
```""",
    """People buy mostly what they have a taste for. The newest twelve scarves nobody has bought yet.""",
    """```python
import pandas as pd

orders = []
for user in range(400):
    what, wanted = ("colour", list(colours)[user % 4]) if user % 2 else ("pattern", patterns[user % 3])
    own = [scarf for scarf in catalogue[:108] if scarf[what] == wanted]
    taken = list(random.choice(own, 7, replace=False)) + list(random.choice(catalogue[:108], 2, replace=False))
    orders += [{"user": f"person-{user}", "item": scarf["item"]} for scarf in taken]
orders = pd.DataFrame(orders).drop_duplicates()
pd.DataFrame(catalogue).to_csv(shop / "catalogue.csv", index=False)
orders.head()
```""",
    """## Prepare

The built-in encoder turns pictures into vectors; `prepare` cleans the log, splits it and joins the rest. Frames, files and matrices are
all taken.""",
    """```python
import alike

alike.embed(shop / "catalogue.csv", images=True, out=shop / "image.safetensors")
alike.embed(shop / "catalogue.csv", text="title", out=shop / "text.safetensors", dim=16)
data = alike.prepare(orders, items=shop / "catalogue.csv",
                     features={"image": shop / "image.safetensors", "text": shop / "text.safetensors"})
data
```""",
    """## Train, and look at it""",
    """```python
model = alike.fit("nsmar+", data, dim=16, epochs=60, progress=False)
bestsellers = alike.fit("popularity", data)
{name: round(m.evaluate()["recall@10"], 3) for name, m in {"NSMAR+": model, "bestsellers": bestsellers}.items()}
```""",
    """```python
model.recommend("person-4", k=6)   # has a taste for stripes
```""",
    """## What nobody bought yet, and whom nobody knows

Pictures and texts place new things among the others, and two scarves are enough to place somebody new.""",
    """```python
new = [scarf["item"] for scarf in catalogue[108:]]
model.recommend("person-1", k=4, candidates=new)   # has a taste for blue
```""",
    """```python
basket = [scarf["item"] for scarf in catalogue if scarf["title"] == "Striped green scarf"][:2]
found = model.recommend(history={"a visitor": basket}, k=5)
found
```""",
    """```python
model.explain(history=basket, items=found["item"][:3]).to_pandas()
```""",
    """```python
model.similar_items(basket[0], k=4)
```""",
]

SECOND = [
    """# Compare eight models fairly

MovieLens latest-small, as this repository carries it: 651 people, films with picture and text vectors, one split for everybody, all
items ranked, test scored once with what was best on validation, three seeds, paired tests over people.

The settings are the defaults and epochs are few, so that this page is made in minutes: `docs/results.md` has the searched ones.""",
    """```python
import os
from pathlib import Path
import alike

source = Path(os.environ.get("ALIKE_DATA", "../../alike-cli/data/ml_small"))
data = alike.prepare(source / "ml_small.inter", items=source / "items.jsonl", split="label", name="ml_small",
                     features={"image": source / "image_feat.npy", "text": source / "text_feat.npy"})
data
```""",
    """```python
models = ["popularity", "itemknn", "ease", "slim", "bpr", "lightgcn", "vbpr", "bm3"]
epochs = int(os.environ.get("ALIKE_EPOCHS", "100"))
found = alike.experiment(data, models, seeds=3, settings={"epochs": epochs}, compare="slim")
table = found.to_frame()
table[["model", "seed", "best_epoch", "seconds", "valid:recall@20", "test:recall@20"]].head()
```""",
    """```python
table.groupby("model")["test:recall@20"].agg(["mean", "std"]).sort_values("mean", ascending=False).round(4)
```""",
    """The same as LaTeX, and as pictures; `report.html` in the experiment's folder has all of it with the tests.""",
    """```python
print(found.to_latex()[:1500])
```""",
    """```python
from IPython.display import SVG
SVG(str(found.pictures[0]))
```""",
    """## A model of your own beside them

Anything that ends as vectors enters the same table: here the singular vectors of the training matrix.""",
    """```python
import numpy as np
from scipy.sparse.linalg import svds

left, values, right = svds(data.csr().astype(np.float64), k=32, random_state=0)
mine = alike.Model.from_factors(left * values, right.T, data, source="SVD")
mine.evaluate()["recall@20"]
```""",
]


def notebook(cells: list[str]) -> dict:
    """Cells between code fences are code, the others text."""
    made = []
    for number, text in enumerate(cells):
        code = text.startswith("```python\n")
        lines = (text[len("```python\n") : -len("\n```")] if code else text).splitlines(keepends=True)
        cell = {"id": f"cell-{number}", "metadata": {}, "source": lines}
        extra = {"cell_type": "code", "execution_count": None, "outputs": []} if code else {"cell_type": "markdown"}
        made.append({**extra, **cell})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


for name, cells in (("first-dataset", FIRST), ("compare-eight-models", SECOND)):
    path = Path(__file__).parent / f"{name}.ipynb"
    path.write_text(json.dumps(notebook(cells), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
