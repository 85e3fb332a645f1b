"""Writes slim.json: weights of scikit-learn's ElasticNet on a small log. `python slim.py` beside this file."""

import json
import pathlib
import random

import numpy as np
from sklearn.linear_model import ElasticNet

USERS, ITEMS = 40, 14
CASES = [(0.2, 1.5), (1.0, 0.5), (2.5, 4.0)]

rng = random.Random(3)
train = [sorted(rng.sample(range(ITEMS - 1), rng.randint(2, 6))) for _ in range(USERS)]  # the last item is cold
a = np.zeros((USERS, ITEMS))
for u, row in enumerate(train):
    a[u, row] = 1.0
cases = []
for l1, l2 in CASES:
    alpha = (l1 + l2) / USERS
    weights = np.zeros((ITEMS, ITEMS))
    for i in range(ITEMS):
        others = a.copy()
        others[:, i] = 0.0
        net = ElasticNet(alpha=alpha, l1_ratio=l1 / (l1 + l2), positive=True, fit_intercept=False, tol=1e-12, max_iter=100_000)
        weights[:, i] = net.fit(others, a[:, i]).coef_
    settings = {"l1": l1, "l2": l2, "tolerance": 1e-9, "passes": 10000}
    cases.append({"model": "slim", "settings": settings, "weights": np.round(weights, 9).tolist()})
case = {"items": ITEMS, "train": train, "cases": cases}
pathlib.Path(__file__).with_name("slim.json").write_text(json.dumps(case, separators=(",", ":")) + "\n")
