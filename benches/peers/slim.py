"""SLIM by scikit-learn: seconds to solve every column, from a sample of them, on one thread.

    python benches/peers/slim.py FILE.inter [items]

The problem is that of `alike`'s defaults, l1 = 0.5 and l2 = 10; scikit-learn divides the squares by the number of users.
"""

import csv
import json
import sys
import time
import warnings

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import ElasticNet

L1, L2 = 0.5, 10.0


def main():
    warnings.filterwarnings("ignore")
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    with open(sys.argv[1], newline="") as file:
        rows = [r for r in csv.DictReader(file, delimiter="\t") if r["x_label"] == "0"]
    users = np.array([int(r["userID"]) for r in rows])
    items = np.array([int(r["itemID"]) for r in rows])
    taken = sp.csc_matrix((np.ones(len(rows)), (users, items)))
    n = taken.shape[0]
    net = ElasticNet(
        alpha=(L1 + L2) / n, l1_ratio=L1 / (L1 + L2), positive=True, fit_intercept=False, tol=1e-4, max_iter=200, copy_X=False
    )

    def solve(i):
        target = taken[:, i].toarray().ravel()
        start, end = taken.indptr[i], taken.indptr[i + 1]
        kept = taken.data[start:end].copy()
        taken.data[start:end] = 0
        net.fit(taken, target)
        taken.data[start:end] = kept

    chosen = np.random.default_rng(0).choice(taken.shape[1], count + 1, replace=False)
    solve(chosen[0])  # what is loaded at the first call is not counted
    started = time.perf_counter()
    for i in chosen[1:]:
        solve(i)
    seconds = (time.perf_counter() - started) / count * taken.shape[1]
    print(json.dumps({"what": "slim solve, scikit-learn, one thread", "seconds": seconds, "items": count}))


main()
