"""Writes item_item.json: weights between items of EASE and ItemKNN by NumPy on a small log. `python item_item.py` beside this file."""

import json
import pathlib
import random

import numpy as np

USERS, ITEMS = 40, 14

rng = random.Random(5)
train = [sorted(rng.sample(range(ITEMS - 1), rng.randint(2, 6))) for _ in range(USERS)]  # the last item is cold
a = np.zeros((USERS, ITEMS))
for u, row in enumerate(train):
    a[u, row] = 1.0
gram = a.T @ a


def ease(l2):
    """Steck 2019, eq. 8."""
    p = np.linalg.inv(gram + l2 * np.eye(ITEMS))
    weights = -p / np.diag(p)
    np.fill_diagonal(weights, 0.0)
    return weights


def cosine(shrink):
    norms = np.sqrt(np.outer(np.diag(gram), np.diag(gram)))
    weights = np.divide(gram, norms + shrink, out=np.zeros_like(gram), where=norms + shrink > 0)
    np.fill_diagonal(weights, 0.0)
    return weights


def largest(weights, k):
    """Of each column the k entries of largest size, ties to the smaller row."""
    kept = np.zeros_like(weights)
    for i in range(ITEMS):
        order = sorted(range(ITEMS), key=lambda j: (-abs(np.round(weights[j, i], 12)), j))[:k]
        kept[order, i] = weights[order, i]
    return kept


cases = [
    ("ease", {"l2": 2.5}, ease(2.5)),
    ("ease", {"l2": 0.5, "neighbors": 4}, largest(ease(0.5), 4)),
    ("itemknn", {"shrink": 0.0, "neighbors": 100}, cosine(0.0)),
    ("itemknn", {"shrink": 3.0, "neighbors": 5}, largest(cosine(3.0), 5)),
]
case = {
    "items": ITEMS,
    "train": train,
    "cases": [{"model": m, "settings": s, "weights": np.round(w, 9).tolist()} for m, s, w in cases],
}
pathlib.Path(__file__).with_name("item_item.json").write_text(json.dumps(case, separators=(",", ":")) + "\n")
