"""LightGCN and BPR as MMRec trains them, to compare learning curves: one JSON line per epoch.

Mean of -log(1e-10 + sigmoid(gap)), plus `reg` · Σ ‖rows‖₂ / batch (norms of whole batches, not squared); Adam at 1e-3; batch
2048; negatives uniform over items seen in train. Recall@20 over users with held-out items, train items masked.
"""

import argparse
import json
import time

import numpy as np
import torch

import data

D, BATCH, TOP = 64, 2048, 20


def held_out(path, label, users):
    with open(path, encoding="utf-8") as file:
        names = file.readline().split()
        rows = [line.split() for line in file]
    u, i, l = (names.index(n) for n in ("userID", "itemID", "x_label"))
    lists = [[] for _ in range(users)]
    for r in rows:
        if r[l] == label:
            lists[int(r[u])].append(int(r[i]))
    return lists


def recall(zu, zi, train, held):
    starts = np.searchsorted(train[:, 0], np.arange(len(zu) + 1))
    total = []
    for at in range(0, len(zu), 256):
        end = min(at + 256, len(zu))
        scores, rows = zu[at:end] @ zi.T, slice(starts[at], starts[end])
        scores[train[rows, 0] - at, train[rows, 1]] = -torch.inf
        for u, top in enumerate(scores.topk(TOP, dim=1).indices.tolist(), start=at):
            if held[u]:
                total.append(len(set(top) & set(held[u])) / len(held[u]))
    return float(np.mean(total))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("interactions", help="an `.inter` file with x_label")
    parser.add_argument("--layers", type=int, default=2, help="0 is BPR")
    parser.add_argument("--reg", type=float, default=1e-3)
    parser.add_argument("--squared", action="store_true", help="alike's regulariser: `reg` · Σ ‖row‖² / batch")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--every", type=int, default=1, help="epochs between evaluations")
    parser.add_argument("--seed", type=int, default=999)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    users, items, train = data.read(args.interactions)
    valid, test = (held_out(args.interactions, label, users) for label in "12")
    ptr, idx = data.neighbour_lists(users, items, train)
    a = data.csr(ptr, idx, data.symmetric(ptr, idx), (users + items, users + items))
    # MMRec: xavier uniform in LightGCN, xavier normal in BPR.
    init = torch.nn.init.xavier_uniform_ if args.layers else torch.nn.init.xavier_normal_
    tables = [torch.nn.Parameter(init(torch.empty(n, D))) for n in (users, items)]
    adam = torch.optim.Adam(tables, lr=1e-3, fused=True)
    rng, pool = np.random.default_rng(args.seed), np.unique(train[:, 1])
    # Negatives among positions of `pool`: items that nobody took are never drawn.
    place = np.searchsorted(pool, train[:, 1])
    negatives = data.Negatives(users, len(pool), np.stack([train[:, 0], place], axis=1), args.seed)

    def final():
        x = torch.cat(tables)
        layers = [x]
        for _ in range(args.layers):
            layers.append(data.FixedSparse.apply(a, a, layers[-1]))
        return sum(layers) / len(layers)

    for epoch in range(1, args.epochs + 1):
        start, losses = time.perf_counter(), []
        rows = train[rng.permutation(len(train))]
        drawn = torch.from_numpy(pool[negatives.draw(rows[:, 0])])
        columns = torch.from_numpy(rows[:, 0].copy()), torch.from_numpy(rows[:, 1].copy()), drawn
        for u, p, n in zip(*(c.split(BATCH) for c in columns)):
            adam.zero_grad()
            z = final()
            zu, zp, zn = (z.index_select(0, r) for r in (u, users + p, users + n))
            gap = (zu * zp).sum(dim=1) - (zu * zn).sum(dim=1)
            ego = tables[0].index_select(0, u), tables[1].index_select(0, p), tables[1].index_select(0, n)
            norms = sum(e.square().sum() if args.squared else e.norm() for e in ego)
            loss = -torch.log(1e-10 + torch.sigmoid(gap)).mean() + args.reg * norms / len(u)
            loss.backward()
            adam.step()
            losses.append(loss.item())
        line = {"layers": args.layers, "reg": args.reg, "epoch": epoch, "loss": round(float(np.mean(losses)), 5)}
        line["train_s"] = round(time.perf_counter() - start, 2)
        if epoch % args.every == 0:
            with torch.no_grad():
                z = final()
                for name, held in (("valid", valid), ("test", test)):
                    line[f"{name}_recall@20"] = round(recall(z[:users], z[users:], train, held), 5)
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
