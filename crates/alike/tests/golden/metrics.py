"""Writes metrics.json: what full ranking with known scores must give, under both protocols.

Scores are dot products of small whole numbers: exact, and full of ties (the lower item id comes first). Metrics of
one user with held-out items H and the rank r(h) of each (1 is best; items the protocol masks have none):

    hits@K      = #{h : r(h) <= K}
    recall@K    = hits / |H|                 precision@K = hits / K            hitrate@K = 1 if hits > 0 else 0
    mrr@K       = 1 / min r(h) if that is <= K else 0
    ndcg@K      = Σ_{r(h) <= K} 1/log2(1 + r(h))  /  Σ_{p <= min(K, |H|)} 1/log2(1 + p)
    map@K       = Σ_{r(h) <= K} #{g : r(g) <= r(h)} / r(h)  /  min(K, |H|)

MMRec and RecBole divide average precision by min(K, |H|) too (others divide by |H|); MMRec has no hit rate and no MRR,
those are RecBole's. Each metric is a mean over the users with at least one held-out item.

What lists are like beyond that comes from libraries: coverage and Gini index of RecBole, its tail percentage told which
items are the tail; novelty and diversity of Microsoft's recommenders. The latter's novelty is relative to the number of
train interactions N, ours to the number of users U: theirs + log2(U / N). Lists of 50 are left out, since RecBole takes
all lists to be full.
"""

import json
import math
import pathlib
import random

import numpy as np
import pandas as pd
from recbole.evaluator.metrics import GiniIndex, ItemCoverage, TailPercentage
from recommenders.evaluation.python_evaluation import historical_item_novelty, user_diversity

USERS, ITEMS, WIDTH = 14, 64, 4
CUTS = (5, 10, 20, 50)
MODALITIES = {"image": 5, "text": 3}


def ranks(scores, masked):
    order = sorted((i for i in range(ITEMS) if i not in masked), key=lambda i: (-scores[i], i))
    return {item: place for place, item in enumerate(order, start=1)}


def metrics(rank, held):
    places = sorted(rank[h] for h in held if h in rank)
    out = {}
    for k in CUTS:
        inside = [p for p in places if p <= k]
        best = min(k, len(held))
        out[f"recall@{k}"] = len(inside) / len(held)
        out[f"precision@{k}"] = len(inside) / k
        out[f"hitrate@{k}"] = 1.0 if inside else 0.0
        out[f"mrr@{k}"] = 1.0 / inside[0] if inside else 0.0
        ideal = math.fsum(1 / math.log2(1 + p) for p in range(1, best + 1))
        out[f"ndcg@{k}"] = math.fsum(1 / math.log2(1 + p) for p in inside) / ideal
        out[f"map@{k}"] = math.fsum((n + 1) / p for n, p in enumerate(inside)) / best
    return out


def tail_of(counts):
    """Items outside the most popular ones that together hold 80 % of the interactions."""
    order = sorted(range(ITEMS), key=lambda i: (-counts[i], i))
    before = np.cumsum([0] + [counts[i] for i in order])[:-1]
    return {i for i, n in zip(order, before) if n >= 0.8 * sum(counts)}


def beyond(lists, users, train, features):
    counts = [sum(i in row for row in train) for i in range(ITEMS)]
    tail = tail_of(counts)
    # An item that nobody took counts as taken once.
    taken = pd.DataFrame([(u, i) for u, row in enumerate(train) for i in row]
                         + [(USERS, i) for i in range(ITEMS) if counts[i] == 0], columns=["userID", "itemID"])
    out = {}
    for k in CUTS[:-1]:
        matrix = np.array([row[:k] for row in lists])
        config = {"topk": [k], "metric_decimal_place": 12, "tail_ratio": 2}
        out[f"coverage@{k}"] = ItemCoverage(config).get_coverage(matrix, ITEMS)
        out[f"gini@{k}"] = GiniIndex(config).get_gini(matrix, ITEMS)
        inside = TailPercentage(config).get_tail(matrix, {i: 1 if i in tail else 9 for i in range(ITEMS)})
        out[f"tail@{k}"] = inside.mean(axis=1).mean()
        shown = pd.DataFrame([(u, i) for u, row in zip(users, matrix) for i in row], columns=["userID", "itemID"])
        out[f"novelty@{k}"] = shown.merge(historical_item_novelty(taken, shown)).item_novelty.mean() + math.log2(USERS / len(taken))
        of_each = []
        for rows in features.values():
            frame = pd.DataFrame({"itemID": range(ITEMS), "features": [np.array(r, float) for r in rows]})
            of_each.append(user_diversity(taken, shown, frame, "item_feature_vector")["user_diversity"].mean())
        out[f"diversity@{k}"] = sum(of_each) / len(of_each)
    return {name: float(value) for name, value in out.items()}


def main():
    rng = random.Random(2026)
    users = [[rng.randint(-3, 3) for _ in range(WIDTH)] for _ in range(USERS)]
    items = [[rng.randint(-3, 3) for _ in range(WIDTH)] for _ in range(ITEMS)]
    train, valid, test = [], [], []
    for u in range(USERS):
        order = rng.sample(range(ITEMS), ITEMS)
        # User 0 leaves fewer than 50 items to rank; user 1 has more than 10 held out; users 2 and 3 lack a split.
        a, b, c = (20, 3, 4) if u == 0 else (5, 12, 11) if u == 1 else (rng.randint(1, 9), rng.randint(1, 4), rng.randint(1, 5))
        b, c = (0, c) if u == 2 else (b, 0) if u == 3 else (b, c)
        train.append(sorted(order[:a]))
        valid.append(sorted(order[a : a + b]))
        test.append(sorted(order[a + b : a + b + c]))

    features = {name: [[rng.randint(1, 9) for _ in range(dim)] for _ in range(ITEMS)] for name, dim in MODALITIES.items()}
    expected = {}
    for split, protocol in (("valid", "public"), ("test", "public"), ("test", "clean")):
        held = valid if split == "valid" else test
        per_user, lists = {}, []
        for u in range(USERS):
            if held[u]:
                scores = [sum(x * y for x, y in zip(users[u], item)) for item in items]
                masked = set(train[u]) | (set(valid[u]) if protocol == "clean" else set())
                rank = ranks(scores, masked)
                lists.append(sorted(rank, key=rank.get)[: CUTS[-2]])
                per_user[u] = metrics(rank, held[u])
        names = sorted(next(iter(per_user.values())))
        expected[f"{split}/{protocol}"] = {
            "users": list(per_user),
            "mean": {n: math.fsum(m[n] for m in per_user.values()) / len(per_user) for n in names},
            "beyond": beyond(lists, list(per_user), train, features),
            "recall@20": [m["recall@20"] for m in per_user.values()],
            "ndcg@20": [m["ndcg@20"] for m in per_user.values()],
        }
    case = {"user_factors": users, "item_factors": items, "train": train, "valid": valid, "test": test,
            "features": features, "expected": expected}
    lines = [f" {json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in case.items()]
    (pathlib.Path(__file__).parent / "metrics.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
