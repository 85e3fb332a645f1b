"""Items that nobody took yet: a tenth of the items of a data set loses its train and validation interactions, and keeps its
features; models are trained on the rest.

    python cold.py DATA.inter --feature image=FILE.npy --feature text=FILE.npy [--models a,b] [--seed 1] [--set KEY=VALUE]

Prints a line of JSON per model: Recall@20 of the users' test items among the cold items, ranked among these; the same of
cold and of other test items in a ranking of all items; and the share of cold items in the lists. `likeness` is the baseline:
the mean cosine of an item's features with those of what the user took, summed over modalities."""

import argparse
import json

import alike
import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("data")
parser.add_argument("--feature", action="append", default=[])
parser.add_argument("--models", default="vbpr,mmgcn,lattice,dualgnn,bm3,freedom,mgcn,dragon,soil,pgl,cohesion,slim,nsmar+,alloy")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--share", type=float, default=0.1)
parser.add_argument("--raised", action="store_true", help="lists with raised cold items too")
parser.add_argument("--set", action="append", default=[])
args = parser.parse_args()
features = dict(one.split("=", 1) for one in args.feature)
settings = {name: json.loads(value) for name, value in (one.split("=", 1) for one in args.set)}

full = alike.prepare(args.data, split="label", features=features)
random = np.random.default_rng(args.seed)
out = set(random.choice(full.items, round(len(full.items) * args.share), replace=False).tolist())
rows: dict[str, list] = {"user": [], "item": [], "x_label": []}
for label, split in enumerate(("train", "valid", "test")):
    table = full.interactions(split)
    for user, item in zip(table["user"], table["item"]):
        if label == 2 or item not in out:
            for name, value in (("user", user), ("item", item), ("x_label", label)):
                rows[name].append(value)
data = alike.prepare(rows, split="label", features={name: (full.items, full.features(name)) for name in features})
degrees = np.bincount(data.csr(copy=False).indices, minlength=data.n_items)
cold = np.flatnonzero(degrees == 0)
is_cold = degrees == 0
train, test = data.csr(copy=False), data.csr("test", copy=False)


def row(matrix, user):
    return matrix.indices[matrix.indptr[user] : matrix.indptr[user + 1]]


users = np.array([u for u in range(data.n_users) if len(row(test, u)) and len(row(train, u))])
wanted = [row(test, u) for u in users]


def recall(lists, kind):
    found = []
    for top, held in zip(lists, wanted):
        own = held[is_cold[held]] if kind == "cold" else held[~is_cold[held]] if kind == "warm" else held
        if len(own):
            found.append(np.isin(own, top[:20]).mean())
    return round(float(np.mean(found)), 4)


def say(name, among, whole=None, **more):
    line = {"data": full.name, "model": name, "seed": args.seed, "cold": len(cold), "among cold": recall(among, "cold")}
    if whole is not None:
        line |= {kind: recall(whole, kind) for kind in ("cold", "warm", "all")}
        line["share"] = round(float(is_cold[whole[whole >= 0]].mean()), 4)
    print(json.dumps(line | more), flush=True)


scores = np.zeros((len(users), len(cold)), dtype=np.float32)
for name in features:
    values = data.features(name)
    unit = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    scores += np.stack([unit[row(train, u)].mean(0) for u in users]) @ unit[cold].T
say("likeness", cold[np.argsort(-scores, axis=1)[:, :20]])
say("random", np.stack([random.permutation(cold)[:20] for _ in users]))

for name in args.models.split(","):
    known = alike.settings(name)
    model = alike.fit(name, data, seed=args.seed, settings={k: v for k, v in settings.items() if k in known}, progress=False)
    among, _ = model.recommend_ids(users, 20, candidates=cold)
    whole, _ = model.recommend_ids(users, 20)
    for weight in (0.25, 0.5, 0.75, 1.0) if args.raised else ():
        raised, _ = model.recommend_ids(users, 20, cold_items=weight)
        say(f"{name}, cold items {weight}", among, raised)
    say(name, among, whole, epochs=model.summary["epochs"], seconds=round(model.summary["seconds"], 1))
