"""Writes slim.json: weights of scikit-learn's ElasticNet on a small log. `python slim.py` beside this file.

With `feature_weight` α each item with features in a modality adds a pseudo-user to the log, whose row is √α times 1 at the
item and its cosine at each of its nearest items. As only ten items have features in a modality, and all cosines are
positive, the nearest are all others with features for every number of neighbours from nine on.
"""

import json
import pathlib
import random

import numpy as np
from sklearn.linear_model import ElasticNet

USERS, ITEMS = 40, 14
CASES = [(0.2, 1.5, 0.0), (1.0, 0.5, 0.0), (2.5, 4.0, 0.0), (0.8, 2.0, 0.6)]
WIDTHS = {"image": 6, "text": 5}
MISSING = {"image": [2, 6, 11, 12], "text": [0, 6, 9, 13]}

rng = random.Random(3)
train = [sorted(rng.sample(range(ITEMS - 1), rng.randint(2, 6))) for _ in range(USERS)]  # the last item is cold
a = np.zeros((USERS, ITEMS))
for u, row in enumerate(train):
    a[u, row] = 1.0
features, pseudo_users = {}, []
for m, width in WIDTHS.items():
    value = lambda i: 0.0 if i in MISSING[m] else round(abs(rng.gauss(0.6, 1.0)), 3)  # noqa: E731
    features[m] = [[value(i) for _ in range(width)] for i in range(ITEMS)]
    x = np.float32(features[m]).astype(np.float64)
    for i in range(ITEMS):
        if i in MISSING[m]:
            continue
        row = np.zeros(ITEMS)
        for j in range(ITEMS):
            if j not in MISSING[m]:
                row[j] = 1.0 if j == i else x[i] @ x[j] / np.sqrt((x[i] @ x[i]) * (x[j] @ x[j]))
                assert row[j] > 0.0
        pseudo_users.append(row)
cases = []
for l1, l2, feature_weight in CASES:
    log = np.vstack([a, np.sqrt(feature_weight) * np.array(pseudo_users)]) if feature_weight else a
    alpha = (l1 + l2) / len(log)
    weights = np.zeros((ITEMS, ITEMS))
    for i in range(ITEMS):
        others = log.copy()
        others[:, i] = 0.0
        net = ElasticNet(alpha=alpha, l1_ratio=l1 / (l1 + l2), positive=True, fit_intercept=False, tol=1e-12, max_iter=100_000)
        weights[:, i] = net.fit(others, log[:, i]).coef_
    settings = {"l1": l1, "l2": l2, "tolerance": 1e-9, "passes": 10000, "feature_weight": feature_weight}
    cases.append({"model": "slim", "settings": settings, "weights": np.round(weights, 9).tolist()})
case = {"items": ITEMS, "train": train, "features": features, "cases": cases}
pathlib.Path(__file__).with_name("slim.json").write_text(json.dumps(case, separators=(",", ":")) + "\n")
