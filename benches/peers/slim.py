"""SLIM by scikit-learn: seconds to solve every column, from a sample of them, on one thread.

    python benches/peers/slim.py FILE.inter [items]

The problem is that of `alike`'s defaults, l1 = 0.5 and l2 = 10; scikit-learn divides the squares by the number of users.
"""

import json
import os
import sys
import time
import warnings

# Coordinate descent is one thread's work; more of them in the vendor's library only wait for it.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import ElasticNet

import data

L1, L2 = 0.5, 10.0


def main():
    warnings.filterwarnings("ignore")
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    n, items, train = data.read(sys.argv[1])
    taken = sp.csc_matrix((np.ones(len(train)), train.T), shape=(n, items))
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

    chosen = np.random.default_rng(0).choice(items, count + 1, replace=False)
    solve(chosen[0])  # what is loaded at the first call is not counted
    started = time.perf_counter()
    for i in chosen[1:]:
        solve(i)
    seconds = (time.perf_counter() - started) / count * items
    print(json.dumps({"what": "slim solve, scikit-learn, one thread", "seconds": seconds, "items": count}))


main()
